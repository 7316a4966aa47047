#include "client/cli/record_format.h"

#include "afdg/v1/admin.pb.h"

namespace afdg::client::cli {

Status check_record_format(const std::string& format) {
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c != '%' && c != '\\') continue;
    const char next = i + 1 < format.size() ? format[++i] : '\0';
    const std::string known = c == '%' ? "tpokvTh%" : "nt\\";
    if (next == '\0' || known.find(next) == std::string::npos) {
      return fail(Code::kInvalidArgument, "format '" + format + "' has an unknown " + std::string(1, c) +
                                              (next != '\0' ? std::string(1, next) : std::string()) +
                                              ": use %t %p %o %k %v %T %h %% \\n \\t");
    }
  }
  return {};
}

void format_record(const std::string& format, const v1::ConsumedRecord& record, std::string& out) {
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c != '%' && c != '\\') || i + 1 == format.size()) {
      out.push_back(c);
      continue;
    }
    const char next = format[++i];
    if (c == '\\') {
      out.push_back(next == 'n' ? '\n' : next == 't' ? '\t' : next);
      continue;
    }
    switch (next) {
      case 't':
        out += record.topic();
        break;
      case 'p':
        out += std::to_string(record.partition());
        break;
      case 'o':
        out += std::to_string(record.offset());
        break;
      case 'k':
        out += record.key();
        break;
      case 'v':
        out += record.value();
        break;
      case 'T':
        out += std::to_string(record.timestamp_unix_ms());
        break;
      case 'h':
        for (int h = 0; h < record.headers_size(); ++h) {
          if (h > 0) out.push_back(',');
          out += record.headers(h).key() + "=" + record.headers(h).value();
        }
        break;
      default:
        out.push_back(next);
    }
  }
}

}  // namespace afdg::client::cli
