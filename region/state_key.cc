#include "region/state_key.h"

#include "base/codec.h"

namespace afdg::region {

void put_ordered(std::string& out, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) {
    out.append(text);
  } else {
    for (const char c : text) {
      out.push_back(c);
      if (c == '\0') out.push_back('\xff');
    }
  }
  out.append("\0\1", 2);
}

std::optional<std::string> take_ordered(std::string_view& in) {
  std::string text;
  for (std::size_t i = 0; i + 1 < in.size(); ++i) {
    if (in[i] != '\0') {
      text.push_back(in[i]);
    } else if (in[i + 1] == '\xff') {
      text.push_back('\0');
      ++i;
    } else if (in[i + 1] == '\1') {
      in.remove_prefix(i + 2);
      return text;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

void put_agent_prefix(std::string& out, std::string_view type, std::string_view agent) {
  out.push_back(static_cast<char>(KeyKind::kItem));
  put_ordered(out, type);
  put_ordered(out, agent);
}

void put_entity_prefix(std::string& out, std::string_view type, std::string_view agent,
                       std::string_view entity) {
  put_agent_prefix(out, type, agent);
  put_ordered(out, entity);
}

void put_list_prefix(std::string& out, std::string_view type, std::string_view agent, std::string_view entity,
                     std::string_view key) {
  put_entity_prefix(out, type, agent, entity);
  put_ordered(out, key);
}

void put_sequence(std::string& out, std::int64_t sequence) {
  put_be64(out, static_cast<std::uint64_t>(sequence) ^ (1ULL << 63));
}

std::int64_t get_sequence(const char* at) noexcept {
  return static_cast<std::int64_t>(load_be64(at) ^ (1ULL << 63));
}

std::optional<ItemKey> parse_item_key(std::string_view key) {
  if (key.empty() || key[0] != static_cast<char>(KeyKind::kItem)) return std::nullopt;
  key.remove_prefix(1);
  auto type = take_ordered(key);
  if (!type) return std::nullopt;
  auto agent = take_ordered(key);
  if (!agent) return std::nullopt;
  auto entity = take_ordered(key);
  if (!entity) return std::nullopt;
  auto entity_key = take_ordered(key);
  if (!entity_key || key.size() != 8) return std::nullopt;
  return ItemKey{std::move(*type), std::move(*agent), std::move(*entity), std::move(*entity_key),
                 get_sequence(key.data())};
}

std::size_t agent_prefix_size(std::string_view key) noexcept {
  std::size_t at = 1;
  for (int terminators = 0; terminators < 2;) {
    at = key.find('\0', at);
    if (at == std::string_view::npos || at + 1 >= key.size()) return 0;
    terminators += key[at + 1] == '\1' ? 1 : 0;
    at += 2;
  }
  return at;
}

std::string control_key(KeyKind kind) { return std::string(1, static_cast<char>(kind)); }

std::string control_key(KeyKind kind, std::uint32_t region) {
  std::string key = control_key(kind);
  put_be32(key, region);
  return key;
}

std::string outbox_key(std::uint32_t target, std::uint64_t number) {
  std::string key = control_key(KeyKind::kOutbox, target);
  put_be64(key, number);
  return key;
}

std::string producer_key(std::uint64_t producer) {
  std::string key = control_key(KeyKind::kProducer);
  put_be64(key, producer);
  return key;
}

std::string session_key(std::uint64_t session) {
  std::string key = control_key(KeyKind::kSession);
  put_be64(key, session);
  return key;
}

std::string chunk_key(std::uint64_t session, std::int64_t message_offset) {
  std::string key = control_key(KeyKind::kChunk);
  put_be64(key, session);
  put_be64(key, static_cast<std::uint64_t>(message_offset));
  return key;
}

std::string request_id_key(std::string_view type, std::string_view agent, std::string_view id) {
  std::string key = control_key(KeyKind::kRequestId);
  put_ordered(key, type);
  put_ordered(key, agent);
  put_ordered(key, id);
  return key;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace afdg::region
