#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace afdg::server {

using LogField = std::pair<std::string_view, std::string>;
/// One line to standard error: time, level, event, then key=value. Thread-safety: safe.
void log_info(std::string_view event, std::initializer_list<LogField> fields = {});
void log_warn(std::string_view event, std::initializer_list<LogField> fields = {});
void log_error(std::string_view event, std::initializer_list<LogField> fields = {});
void log_debug(std::string_view event, std::initializer_list<LogField> fields = {});
/// "debug", "info", "warn" or "error".
void set_log_level(const std::string& level);

}  // namespace afdg::server
