#include "kafka/internal/codec_impl.h"

namespace afdg::kafka::internal {

void dump_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) {
          out.push_back(c);
        } else {
          out += "\\u00";
          out.push_back(kHex[c >> 4]);
          out.push_back(kHex[c & 15]);
        }
    }
  }
  out.push_back('"');
}

void dump_base64(std::string& out, std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out.push_back('"');
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out.push_back(i + j > bytes.size() ? '=' : kDigits[three >> (18 - 6 * j) & 63]);
  }
  out.push_back('"');
}

void dump_name(std::string& out, std::string_view name) {
  out.push_back('"');
  if (!name.empty())
    out.push_back(static_cast<char>(name[0] >= 'A' && name[0] <= 'Z' ? name[0] - 'A' + 'a' : name[0]));
  out += name.substr(1);
  out += "\":";
}

Error unreadable(const MessageId& message, std::int16_t version, const Decoder& decoder,
                 const Reader& reader) {
  return fail(Code::kInvalidArgument,
              "cannot read " + std::string(message.name) + " version " + std::to_string(version) +
                  (decoder.path().empty() ? "" : ", field " + decoder.path().substr(1)) + " " +
                  reader.problem());
}

}  // namespace afdg::kafka::internal
