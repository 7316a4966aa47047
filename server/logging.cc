#include "server/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace afdg::server {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> made = [] {
    auto one = std::make_shared<spdlog::logger>("afdgd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    one->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
    one->flush_on(spdlog::level::trace);
    return one;
  }();
  return *made;
}

void write(spdlog::level::level_enum level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!logger().should_log(level)) return;
  const auto quoted = [](std::string& line, std::string_view text) {
    if (!text.empty() && text.find_first_of(" \"=\n\\") == std::string_view::npos) {
      line += text;
      return;
    }
    line += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') line += '\\';
      line += c == '\n' ? ' ' : c;
    }
    line += '"';
  };
  std::string line = "event=";
  quoted(line, event);
  for (const auto& [key, value] : fields) {
    line.append(" ").append(key).append("=");
    quoted(line, value);
  }
  logger().log(level, "{}", line);
}

}  // namespace

void log_info(std::string_view event, std::initializer_list<LogField> fields) {
  write(spdlog::level::info, event, fields);
}
void log_warn(std::string_view event, std::initializer_list<LogField> fields) {
  write(spdlog::level::warn, event, fields);
}
void log_error(std::string_view event, std::initializer_list<LogField> fields) {
  write(spdlog::level::err, event, fields);
}
void log_debug(std::string_view event, std::initializer_list<LogField> fields) {
  write(spdlog::level::debug, event, fields);
}
void set_log_level(const std::string& level) {
  logger().set_level(level == "debug"   ? spdlog::level::debug
                     : level == "warn"  ? spdlog::level::warn
                     : level == "error" ? spdlog::level::err
                                        : spdlog::level::info);
}

}  // namespace afdg::server
