#include "client/cli/topic_produce.h"

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "afdg/v1/data.pb.h"

namespace afdg::client::cli {
namespace {

constexpr int kCallRecordsMax = 10'000;                      // as the server takes them
constexpr std::size_t kCallBytesMax = std::size_t{1} << 20;  // a larger record goes alone
constexpr std::size_t kRecordBytes = 64;                     // about, beside key and value

struct Producing {
  std::string topic;
  std::optional<std::string> value;
  std::optional<std::string> key;
  std::string separator;
  std::vector<std::string> headers;
  std::optional<std::uint32_t> partition;
  std::string time;
  bool null = false;
};

/// Makes records of lines, and prints where they are.
class Producer {
 public:
  Producer(Context& context, Admin admin, const Producing& args)
      : context_(context), admin_(std::move(admin)), args_(args) {}

  Status prepare() {
    AFDG_ASSIGN(separator_, unescape(args_.separator));
    if (!separator_.empty() && args_.key) {
      return fail(Code::kInvalidArgument, "-k '" + *args_.key + "' and -K '" + args_.separator +
                                              "' both name the key: use one of them");
    }
    if (!separator_.empty() && args_.value)
      return fail(Code::kInvalidArgument,
                  "-K '" + args_.separator +
                      "' splits lines of standard input, and the value is an argument: "
                      "name its key with -k");
    for (const std::string& header : args_.headers) {
      const std::size_t equals = header.find('=');
      if (equals == 0 || equals == std::string::npos) {
        return fail(Code::kInvalidArgument,
                    "header '" + header + "' is not NAME=VALUE: give one such as -H trace=7");
      }
      auto& out = *pattern_.add_headers();
      out.set_key(header.substr(0, equals));
      out.set_value(header.substr(equals + 1));
    }
    if (!args_.time.empty()) {
      AFDG_ASSIGN(const std::int64_t time, parse_time(args_.time));
      if (time <= 0)
        return fail(Code::kInvalidArgument, "--time '" + args_.time + "' is before 1970: give a later one");
      pattern_.set_timestamp_unix_ms(time);
    }
    if (args_.partition) pattern_.set_partition(*args_.partition);
    call_.set_topic(args_.topic);
    call_.set_timeout_ms(context_.timeout().count());
    return {};
  }

  void add(std::string_view line) {
    v1::ProduceRecord& record = *call_.add_records();
    record = pattern_;
    std::optional<std::string_view> key;
    if (args_.key) key = *args_.key;
    if (!separator_.empty()) {
      if (const std::size_t at = line.find(separator_); at != std::string_view::npos) {
        key = line.substr(0, at);
        line.remove_prefix(at + separator_.size());
      }
    }
    if (key && !(args_.null && key->empty())) record.set_key(std::string(*key));
    if (!(args_.null && line.empty())) record.set_value(std::string(line));
    bytes_ += kRecordBytes + line.size() + (key ? key->size() : 0);
  }
  /// Whether what was added should go before a record of that size comes.
  [[nodiscard]] bool full(std::size_t next) const {
    return call_.records_size() >= kCallRecordsMax ||
           (call_.records_size() > 0 && bytes_ + next + kRecordBytes > kCallBytesMax);
  }

  /// Produces what was added. Errors: the first record's that was not stored; the others are printed.
  Status send() {
    if (call_.records().empty()) return {};
    const auto sent = static_cast<std::uint64_t>(call_.records_size());
    Result<v1::ProduceAnswer> answer = admin_.produce(call_);
    call_.clear_records();
    bytes_ = 0;
    const std::uint64_t first = done_ + 1;
    done_ += sent;
    if (!answer.ok()) return named(first, sent, answer.error(), sent);
    std::string out;
    const Error* error = nullptr;
    Result<std::string> failed = std::string();
    std::uint64_t failed_at = 0, failures = 0;
    for (int i = 0; i < answer->receipts_size(); ++i) {
      const v1::ProduceReceipt& receipt = answer->receipts(i);
      if (receipt.code() != 0) {
        if (failures++ == 0) {
          failed = fail(code_from_number(receipt.code()), receipt.text());
          failed_at = first + static_cast<std::uint64_t>(i);
        }
        continue;
      }
      ++stored_;
      if (context_.output() == Output::kJson) {
        const nlohmann::json json = {
            {"topic", args_.topic}, {"partition", receipt.partition()}, {"offset", receipt.offset()}};
        out += json.dump() + "\n";
      } else {
        out += std::to_string(receipt.partition()) + "@" + std::to_string(receipt.offset()) + "\n";
      }
    }
    std::cout << out << std::flush;
    if (!failed.ok()) error = &failed.error();
    return error == nullptr ? Status() : named(failed_at, sent, *error, failures);
  }
  [[nodiscard]] std::uint64_t stored() const { return stored_; }

 private:
  /// The error with the record that it is about.
  [[nodiscard]] Status named(std::uint64_t at, std::uint64_t sent, const Error& error,
                             std::uint64_t failures) const {
    if (args_.value || (sent == 1 && at == 1)) return error;
    std::string text = "record " + std::to_string(at) + " of standard input";
    if (failures > 1) text += " and " + std::to_string(failures - 1) + " more of the same call";
    text += ": " + error.text() + "; " + std::to_string(stored_) + " were stored";
    return fail(error.code(), text);
  }

  Context& context_;
  const Admin admin_;
  const Producing& args_;
  std::string separator_;
  v1::ProduceRecord pattern_;
  v1::ProduceCall call_;
  std::size_t bytes_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t stored_ = 0;
};

Result<Exit> produce(Context& context, const Producing& args) {
  AFDG_ASSIGN(Admin admin, context.admin());
  Producer producer(context, std::move(admin), args);
  AFDG_TRY(producer.prepare());
  if (args.value && *args.value != "-") {
    std::string value = *args.value;
    if (!value.empty() && value.front() == '@') {
      AFDG_ASSIGN(value, read_file(value.substr(1)));
    }
    producer.add(value);
    AFDG_TRY(producer.send());
    return Exit::kOk;
  }
  catch_interrupt();
  Lines lines(0);
  for (bool more = true; more && !interrupted() && std::cout.good();) {
    AFDG_ASSIGN(more, lines.fill([] { return interrupted(); }));
    while (const auto line = lines.next()) {
      if (producer.full(line->size())) AFDG_TRY(producer.send());
      if (interrupted()) break;
      producer.add(*line);
    }
    AFDG_TRY(producer.send());
  }
  context.note(std::to_string(producer.stored()) + " records");
  return interrupted() ? Exit::kInterrupted : Exit::kOk;
}

}  // namespace

Result<std::string> unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    const char next = i + 1 < text.size() ? text[++i] : '\0';
    if (next != 'n' && next != 't' && next != '\\') {
      return fail(Code::kInvalidArgument, "'" + text + "' has an unknown \\" +
                                              (next != '\0' ? std::string(1, next) : std::string()) +
                                              ": use \\t, \\n or \\\\");
    }
    out.push_back(next == 'n' ? '\n' : next == 't' ? '\t' : '\\');
  }
  return out;
}

std::optional<std::string_view> Lines::next() {
  const std::size_t end = buffer_.find('\n', std::max(at_, searched_));
  if (end != std::string::npos) {
    const std::string_view line(buffer_.data() + at_, end - at_);
    at_ = searched_ = end + 1;
    return line;
  }
  searched_ = buffer_.size();
  if (!ended_ || at_ == buffer_.size()) return std::nullopt;
  const std::string_view line(buffer_.data() + at_, buffer_.size() - at_);
  at_ = buffer_.size();
  return line;
}

Result<bool> Lines::read_some() {
  char bytes[64 << 10];
  const ssize_t got = ::read(fd_, bytes, sizeof bytes);
  if (got < 0) {
    if (errno == EINTR || errno == EAGAIN) return true;
    return fail(Code::kInvalidArgument, std::string("standard input cannot be read (") +
                                            std::strerror(errno) +
                                            "): give the record as an argument, or a file with < FILE");
  }
  ended_ = got == 0;
  buffer_.append(bytes, static_cast<std::size_t>(got));
  return !ended_;
}

Result<bool> Lines::fill(const std::function<bool()>& stop) {
  buffer_.erase(0, at_);
  searched_ -= std::min(searched_, at_);
  at_ = 0;
  if (buffer_.size() > kLineBytesMax) {
    return fail(Code::kMessageTooLarge, "a line of standard input is longer than " +
                                            std::to_string(kLineBytesMax) + " bytes: send less in a record");
  }
  pollfd wait{fd_, POLLIN, 0};
  while (!ended_ && !stop()) {
    if (::poll(&wait, 1, 100) <= 0) continue;
    AFDG_TRY(read_some().status());
    // What is there already, and no more.
    for (std::size_t taken = 0; !ended_ && buffer_.size() < kTakeBytes && taken < kTakeBytes;
         taken += 1 << 16) {
      if (::poll(&wait, 1, 0) <= 0) break;
      AFDG_TRY(read_some().status());
    }
    return !ended_;
  }
  return false;
}

void add_topic_produce(CLI::App& topic, Action& chosen) {
  auto args = std::make_shared<Producing>();
  CLI::App* command =
      topic.add_subcommand("produce", "Store records: one a line of standard input, or one argument");
  command->add_option("topic", args->topic, "the topic; a grid's are written by its agents")->required();
  command->add_option("value", args->value,
                      "one record: its text, or @FILE; without it (or -) standard input");
  command->add_option("-k,--key", args->key,
                      "the records' key; it chooses the partition as Kafka's producers do");
  command->add_option("-K,--key-separator", args->separator,
                      "what ends the key in a line, such as : or \\t; a line without it has no key");
  command->add_option("-H,--header", args->headers, "NAME=VALUE; may be repeated")->allow_extra_args(false);
  command->add_option("-p,--partition", args->partition, "the partition, whatever the key");
  command->add_option("--time", args->time, "the records' time, as for consume --from @TIME (now)");
  command->add_flag("-Z,--null", args->null,
                    "an empty key or value is none: a record without a value deletes");
  command->footer(
      "Prints PARTITION@OFFSET of each record once it is durable; with -o json an object a line. What is on\n"
      "standard input goes at once, in as few calls as it takes. A record that ends in doubt (exit 5) may "
      "be\n"
      "stored: produced again, it may be there twice.");
  command->callback([args, &chosen] {
    chosen = [args](Context& c) { return guarded(c, [&] { return produce(c, *args); }); };
  });
}

}  // namespace afdg::client::cli
