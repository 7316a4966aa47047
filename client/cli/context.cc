#include "client/cli/context.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "base/clock.h"

namespace afdg::client::cli {
namespace {

constexpr std::size_t kInputBytesMax = 16U << 20;

volatile sig_atomic_t interrupts = 0;
std::string interrupt_notice;  // written before the handler is set, never after

Result<std::string> read_all(std::istream& in, const std::string& name) {
  std::string bytes;
  char buffer[64 * 1024];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    bytes.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (bytes.size() > kInputBytesMax) {
      return fail(Code::kMessageTooLarge, name + " is larger than 16 MiB: send less at once");
    }
  }
  return bytes;
}

std::string base64(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0);
    }
    for (std::size_t j = 0; j < 4; ++j)
      out.push_back(j <= count ? kAlphabet[group >> (18 - 6 * j) & 63] : '=');
  }
  return out;
}

bool is_utf8(std::string_view bytes) {
  const nlohmann::json text = std::string(bytes);
  try {
    static_cast<void>(text.dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

nlohmann::json string_json(const FieldDescriptor& field, const std::string& text) {
  return field.type() == FieldDescriptor::TYPE_BYTES ? bytes_json(text) : nlohmann::json(text);
}

nlohmann::json field_json(const Message& message, const Reflection& reflect, const FieldDescriptor& field,
                          int i) {
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
#define AFDG_FIELD(kind, name)          \
  case FieldDescriptor::CPPTYPE_##kind: \
    return many ? reflect.GetRepeated##name(message, &field, i) : reflect.Get##name(message, &field)
    AFDG_FIELD(INT32, Int32);
    AFDG_FIELD(INT64, Int64);
    AFDG_FIELD(UINT32, UInt32);
    AFDG_FIELD(UINT64, UInt64);
    AFDG_FIELD(DOUBLE, Double);
    AFDG_FIELD(FLOAT, Float);
    AFDG_FIELD(BOOL, Bool);
#undef AFDG_FIELD
    case FieldDescriptor::CPPTYPE_ENUM:
      return (many ? reflect.GetRepeatedEnum(message, &field, i) : reflect.GetEnum(message, &field))->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return string_json(
          field, many ? reflect.GetRepeatedString(message, &field, i) : reflect.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_json(many ? reflect.GetRepeatedMessage(message, &field, i)
                          : reflect.GetMessage(message, &field));
  }
  return nullptr;
}

void on_interrupt(int) {
  interrupts = interrupts + 1;
  if (!interrupt_notice.empty() && write(2, interrupt_notice.data(), interrupt_notice.size()) < 0) return;
}

}  // namespace

Exit exit_of(Code code) {
  switch (code) {
    case Code::kOk:
      return Exit::kOk;
    case Code::kInvalidArgument:
    case Code::kUndecodable:
    case Code::kMessageTooLarge:
    case Code::kOutOfRange:
    case Code::kInvalidRecord:
    case Code::kInvalidTimestamp:
    case Code::kUnsupportedCompression:
      return Exit::kUsage;
    case Code::kNotFound:
    case Code::kUnknownGrid:
    case Code::kUnknownType:
    case Code::kUnknownMessage:
      return Exit::kNotFound;
    case Code::kUnavailable:
    case Code::kNotLeader:
    case Code::kFenced:
      return Exit::kUnreachable;
    case Code::kInDoubt:
      return Exit::kInDoubt;
    case Code::kOverloaded:
    case Code::kPaused:
    case Code::kDiskFull:
    case Code::kDeadlineExceeded:
      return Exit::kOverloaded;
    case Code::kPermissionDenied:
      return Exit::kDenied;
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kApplication:
    case Code::kHandlerFailed:
    case Code::kPoison:
    case Code::kRequestExpired:
    case Code::kRequestIdReused:
    case Code::kCallCycle:
    case Code::kCorrupt:
    case Code::kRebuild:
    case Code::kIo:
    case Code::kTaken:
    case Code::kNewerFormat:
    case Code::kUnwritable:
    case Code::kCancelled:
    case Code::kInternal:
    case Code::kUnsupported:
    case Code::kOutOfOrderSequence:
    case Code::kProducerFenced:
      return Exit::kRefused;
  }
  return Exit::kRefused;
}

Status Context::prepare() {
  if (globals_.output == "table") {
    output_ = Output::kTable;
  } else if (globals_.output == "json") {
    output_ = Output::kJson;
  } else if (globals_.output == "raw") {
    output_ = Output::kRaw;
  } else {
    return afdg::fail(Code::kInvalidArgument,
                      "output '" + globals_.output + "' is unknown: use -o table, -o json or -o raw");
  }
  AFDG_ASSIGN(timeout_, parse_duration(globals_.timeout));
  if (timeout_.count() <= 0)
    return afdg::fail(Code::kInvalidArgument, "--timeout is 0: give more, such as 5s");
  return {};
}

Result<Client*> Context::client(const ClientOptions& options) {
  if (!client_) {
    ClientOptions with = options;
    with.connect_timeout = std::min<std::chrono::milliseconds>(timeout_, std::chrono::milliseconds(3000));
    with.deadline = timeout_;
    Result<Client> made = Client::connect(globals_.server, with);
    if (!made) return made.error();
    client_.emplace(std::move(made).value());
  }
  return &*client_;
}

Result<Admin> Context::admin() {
  AFDG_ASSIGN(Client * connected, client());
  return connected->admin().with_timeout(timeout_);
}

Result<std::string> Context::grid_name() {
  if (!globals_.grid.empty()) return globals_.grid;
  AFDG_ASSIGN(const Admin control, admin());
  AFDG_ASSIGN(const v1::GridList list, control.grids());
  if (list.grids_size() == 1) return list.grids(0).name();
  if (list.grids_size() == 0) {
    return afdg::fail(Code::kUnknownGrid,
                      "the server at " + globals_.server +
                          " has no grid: create one with afdg grid create NAME --regions 8");
  }
  std::string names;
  for (const v1::GridInfo& grid : list.grids()) names += (names.empty() ? "" : ", ") + grid.name();
  return afdg::fail(Code::kInvalidArgument, "the server has " + std::to_string(list.grids_size()) +
                                                " grids: choose one with -g (" + names + ")");
}

Result<Grid> Context::grid() {
  AFDG_ASSIGN(Client * connected, client());
  AFDG_ASSIGN(const std::string name, grid_name());
  return connected->grid(name);
}

void Context::print(const nlohmann::json& json, const Table& table) const {
  if (output_ == Output::kJson) {
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  if (output_ == Output::kRaw) {
    for (const auto& row : table.rows) {
      for (std::size_t i = 0; i < row.size(); ++i) std::cout << (i > 0 ? "\t" : "") << row[i];
      std::cout << "\n";
    }
    return;
  }
  std::vector<std::size_t> widths(table.heading.size(), 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  };
  widen(table.heading);
  for (const auto& row : table.rows) widen(row);
  const auto line = [&](const std::vector<std::string>& row) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] + 2 - row[i].size(), ' ');
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    std::cout << text << "\n";
  };
  line(table.heading);
  for (const auto& row : table.rows) line(row);
}

void Context::note(const std::string& text) const {
  if (globals_.verbose) std::cerr << text << "\n";
}

Exit Context::fail(const Error& error) const {
  if (globals_.output == "json") {
    const nlohmann::json json = {{"error", {{"code", code_name(error.code())}, {"text", error.text()}}}};
    std::cerr << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else {
    std::cerr << "afdg: " << error.text() << "\n";
  }
  return exit_of(error.code());
}

Result<Target> parse_target(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return fail(Code::kInvalidArgument,
                "agent '" + text + "' is not TYPE/KEY: give one such as entity/alice");
  }
  return Target{text.substr(0, slash), text.substr(slash + 1)};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return fail(Code::kInvalidArgument, "file '" + path + "' cannot be read: check its name and rights");
  return read_all(in, "file '" + path + "'");
}

Result<std::string> read_json(const std::string& argument) {
  std::string text = argument;
  if (argument == "-") {
    AFDG_ASSIGN(text, read_all(std::cin, "standard input"));
  } else if (!argument.empty() && argument.front() == '@') {
    AFDG_ASSIGN(text, read_file(argument.substr(1)));
  }
  if (!nlohmann::json::accept(text)) {
    std::string shown = text.substr(0, 60);
    return fail(Code::kInvalidArgument,
                "the message is not JSON: '" + shown + "'; give JSON, @file or - for standard input");
  }
  return text;
}

Result<std::chrono::milliseconds> parse_duration(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const std::string unit(at, end);
  double scale = 0;
  if (unit.empty() || unit == "s") scale = 1000;
  if (unit == "ms") scale = 1;
  if (unit == "m" || unit == "min") scale = 60'000;
  if (unit == "h") scale = 3'600'000;
  if (unit == "d") scale = 86'400'000;
  if (error != std::errc() || scale == 0 || !(value >= 0) || value * scale > 1e15) {
    return fail(Code::kInvalidArgument, "'" + text + "' is not a duration: give one such as 5s, 250ms or 2m");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::llround(value * scale)));
}

Result<std::int64_t> parse_time(const std::string& text) {
  const std::int64_t now = SystemClock().now().time_since_epoch().count();
  if (!text.empty() && text.front() == '-') {
    AFDG_ASSIGN(const std::chrono::milliseconds ago, parse_duration(text.substr(1)));
    return now - ago.count();
  }
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, number).ptr == end && !text.empty()) return number;
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest != nullptr && (*rest == 'Z' || *rest == '\0')) return std::int64_t{timegm(&parts)} * 1000;
  return fail(Code::kInvalidArgument,
              "'" + text +
                  "' is not a time: give milliseconds since 1970, 2026-01-31T12:00:00Z, or "
                  "-5m for five minutes ago");
}

std::string random_id() {
  char text[32];
  std::snprintf(text, sizeof text, "cli-%016llx", static_cast<unsigned long long>(SystemRandom().next()));
  return text;
}

nlohmann::json bytes_json(std::string_view bytes) {
  return is_utf8(bytes) ? nlohmann::json(std::string(bytes)) : nlohmann::json(base64(bytes));
}

nlohmann::json to_json(const Message& message) {
  nlohmann::json out = nlohmann::json::object();
  const Reflection& reflect = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int f = 0; f < type.field_count(); ++f) {
    const FieldDescriptor& field = *type.field(f);
    if (field.is_map()) {
      nlohmann::json map = nlohmann::json::object();
      for (int i = 0; i < reflect.FieldSize(message, &field); ++i) {
        const nlohmann::json entry = to_json(reflect.GetRepeatedMessage(message, &field, i));
        map[entry.at("key").get<std::string>()] = entry.at("value");
      }
      out[field.name()] = std::move(map);
    } else if (field.is_repeated()) {
      nlohmann::json list = nlohmann::json::array();
      for (int i = 0; i < reflect.FieldSize(message, &field); ++i)
        list.push_back(field_json(message, reflect, field, i));
      out[field.name()] = std::move(list);
    } else if (field.has_presence() && !reflect.HasField(message, &field)) {
      if (field.message_type() == nullptr) out[field.name()] = nullptr;
    } else {
      out[field.name()] = field_json(message, reflect, field, 0);
    }
  }
  return out;
}

std::string time_text(std::int64_t unix_ms) {
  if (unix_ms <= 0) return "-";
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  char text[40];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

bool is_terminal(int fd) { return isatty(fd) == 1; }

void catch_interrupt(const std::string& notice) {
  interrupt_notice = notice;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second interrupt ends the program
  sigaction(SIGINT, &action, nullptr);
}
bool interrupted() { return interrupts > 0; }

}  // namespace afdg::client::cli
