#include <algorithm>

#include "log/segment.h"

namespace afdg::log {
namespace {
constexpr std::size_t kHeaderChunk = 8u << 10;
constexpr std::size_t kWholeChunk = 64u << 10;
}  // namespace

BatchScanner::BatchScanner(const store::File& file, Span span, Depth depth, std::size_t batch_bytes_max)
    : file_(file), to_(span.to), depth_(depth), batch_bytes_max_(batch_bytes_max), position_(span.from) {}

bool BatchScanner::stop(Error error) {
  if (error.code() == Code::kIo) {
    status_ = std::move(error);
  } else {
    status_ = fail(Code::kCorrupt,
                   file_.path() + " at position " + std::to_string(position_) + ": " + error.text());
  }
  batch_.reset();
  size_ = 0;
  return false;
}

bool BatchScanner::fill(std::size_t size) {
  if (position_ >= buffer_at_ && position_ + size <= buffer_at_ + buffer_size_) return true;
  const std::size_t chunk = depth_ == Depth::kWhole ? kWholeChunk : kHeaderChunk;
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(std::max(size, chunk), to_ - position_));
  if (want < size) return stop(fail(Code::kCorrupt, "the file ends inside a batch"));
  if (buffer_.size() < want) buffer_.resize(want);
  buffer_size_ = 0;
  if (Status s = file_.read_at(position_, want, buffer_.data()); !s.ok()) return stop(s.error());
  buffer_at_ = position_;
  buffer_size_ = want;
  return true;
}

bool BatchScanner::next() {
  if (!status_.ok()) return false;
  position_ += size_;
  size_ = 0;
  batch_.reset();
  if (position_ >= to_) return false;
  if (!fill(static_cast<std::size_t>(std::min<std::uint64_t>(batch_layout::kHeaderBytes, to_ - position_))))
    return false;
  const auto bytes = [&] {
    const auto skip = static_cast<std::size_t>(position_ - buffer_at_);
    return std::string_view(buffer_).substr(skip, buffer_size_ - skip);
  };
  const auto size = BatchView::frame(bytes(), batch_bytes_max_);
  if (!size.ok()) return stop(size.error());
  if (*size > to_ - position_)
    return stop(fail(Code::kCorrupt, "a batch of " + std::to_string(*size) + " bytes begins, only " +
                                         std::to_string(to_ - position_) + " are left"));
  if (depth_ == Depth::kHeaders) {
    batch_ = BatchView::header(bytes());
  } else {
    if (!fill(*size)) return false;
    auto batch = BatchView::parse(bytes(), batch_bytes_max_);
    if (!batch.ok()) return stop(batch.error());
    if (Status s = batch->verify_crc(); !s.ok()) return stop(s.error());
    batch_ = *batch;
  }
  size_ = *size;
  return true;
}

}  // namespace afdg::log
