#include "log/epochs.h"

#include <charconv>

namespace afdg::log {
namespace {

/// Takes the next line off `text`; false at its end.
bool take_line(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const std::size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return true;
}

template <typename T>
bool take_number(std::string_view& line, T& out) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  return true;
}

Error bad(const char* what) { return fail(Code::kCorrupt, std::string("leader-epoch checkpoint: ") + what); }

}  // namespace

bool EpochLineage::assign(Epoch epoch, Offset start) {
  if (epoch.value() < 0 || (!entries_.empty() && epoch <= entries_.back().epoch)) return false;
  // An epoch that wrote nothing leaves no trace: the next one takes its place.
  while (!entries_.empty() && entries_.back().start >= start) entries_.pop_back();
  entries_.push_back({epoch, start});
  return true;
}

bool EpochLineage::truncate_to(Offset end) {
  bool changed = false;
  for (; !entries_.empty() && entries_.back().start >= end; changed = true) entries_.pop_back();
  return changed;
}

bool EpochLineage::advance_start(Offset start) {
  std::size_t drop = 0;
  while (drop + 1 < entries_.size() && entries_[drop + 1].start <= start) ++drop;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(drop));
  if (entries_.empty() || entries_.front().start >= start) return drop > 0;
  entries_.front().start = start;
  return true;
}

std::optional<Epoch> EpochLineage::latest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back().epoch;
}

std::optional<EpochLineage::EpochEnd> EpochLineage::end_of(Epoch epoch, Offset log_end) const {
  for (std::size_t i = entries_.size(); i-- > 0;)
    if (entries_[i].epoch <= epoch)
      return EpochEnd{entries_[i].epoch, i + 1 < entries_.size() ? entries_[i + 1].start : log_end};
  // Nothing is left of the epoch. Who read it to its end goes on where the next one begins.
  if (!entries_.empty()) return EpochEnd{epoch, entries_.front().start};
  return std::nullopt;
}

std::string EpochLineage::encode() const {
  std::string out = "0\n" + std::to_string(entries_.size()) + "\n";
  for (const Entry& e : entries_)
    out += std::to_string(e.epoch.value()) + " " + std::to_string(e.start.value()) + "\n";
  return out;
}

Result<EpochLineage> EpochLineage::decode(std::string_view text) {
  std::string_view line;
  std::int32_t version = 0;
  std::uint32_t count = 0;
  if (!take_line(text, line) || !take_number(line, version) || !line.empty()) return bad("no version line");
  if (version != 0)
    return fail(Code::kNewerFormat, "leader-epoch checkpoint: version " + std::to_string(version) +
                                        " was written by a newer program, this one knows version 0");
  if (!take_line(text, line) || !take_number(line, count) || !line.empty()) return bad("no count line");
  EpochLineage lineage;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::int32_t epoch = 0;
    std::int64_t start = 0;
    if (!take_line(text, line) || !take_number(line, epoch) || !line.starts_with(' '))
      return bad("a line is missing");
    line.remove_prefix(1);
    if (!take_number(line, start) || !line.empty() || epoch < 0 || start < 0)
      return bad("a line is not \"epoch start\"");
    if (i > 0 &&
        (Epoch(epoch) <= lineage.entries_.back().epoch || Offset(start) <= lineage.entries_.back().start))
      return bad("epochs and offsets do not grow");
    lineage.entries_.push_back({Epoch(epoch), Offset(start)});
  }
  if (!text.empty()) return bad("more lines than its count says");
  return lineage;
}

}  // namespace afdg::log
