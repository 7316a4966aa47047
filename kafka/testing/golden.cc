#include "kafka/testing/golden.h"

#include <fstream>
#include <sstream>

namespace afdg::kafka {

std::string Golden::name() const {
  return std::string(api->name) + (request ? "Request" : "Response") + " version " + std::to_string(version) +
         ", sample " + sample;
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return out;
}

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

const std::vector<Golden>& golden_messages(const std::string& folder) {
  static const std::vector<Golden> all = [&] {
    std::vector<Golden> out;
    for (const Api& row : apis()) {
      const std::string path = folder + "/" + std::string(row.name) + ".txt";
      std::ifstream file(path);
      AFDG_ASSERT(file.good(), ("no golden messages in " + path).c_str());
      std::string line;
      while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string name, kind, hex;
        Golden golden;
        words >> name >> golden.version >> kind >> golden.sample >> hex;
        AFDG_ASSERT(name == row.name && !hex.empty(), ("a malformed line in " + path).c_str());
        golden.api = &row;
        golden.request = kind == "request";
        if (hex != "-") golden.bytes = from_hex(hex);
        words.get();
        std::getline(words, golden.json);
        out.push_back(std::move(golden));
      }
    }
    return out;
  }();
  return all;
}

}  // namespace afdg::kafka
