#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Keys of a region's state, see docs/formats/region-state.md. ON DISK since version 1.
namespace afdg::region {

/// The first byte of a key: what the record is about.
enum class KeyKind : char {
  kItem = 'a',        ///< an item of an agent's entity
  kChunk = 'd',       ///< answers of one client session in one batch
  kInbox = 'i',       ///< last number taken from a source region
  kMark = 'm',        ///< applied offset of messages, and the turns of the batch
  kOutboxNext = 'n',  ///< next number for a target region
  kOutbox = 'o',      ///< a message on its way to another region
  kProducer = 'p',    ///< the last batches of a Kafka producer
  kRequestId = 'r',   ///< answer to a caller's own request id
  kSession = 's',     ///< a client session is known
};

/// Appends `text` so that byte order of the result is byte order of the texts, whatever follows: 0x00 becomes
/// 0x00 0xff, the end is 0x00 0x01.
void put_ordered(std::string& out, std::string_view text);
/// Takes what put_ordered wrote off the front; nullopt when malformed.
std::optional<std::string> take_ordered(std::string_view& in);

/// Kind, type and agent key: the prefix of all items of an agent.
void put_agent_prefix(std::string& out, std::string_view type, std::string_view agent);
/// The prefix of one entity of an agent.
void put_entity_prefix(std::string& out, std::string_view type, std::string_view agent,
                       std::string_view entity);
/// The prefix of one key of an entity: its list.
void put_list_prefix(std::string& out, std::string_view type, std::string_view agent, std::string_view entity,
                     std::string_view key);
/// Bytes of the agent's prefix that an item's key, or a longer prefix, begins with; 0 when it has none.
[[nodiscard]] std::size_t agent_prefix_size(std::string_view key) noexcept;
/// A signed sequence in eight bytes that sort by value.
void put_sequence(std::string& out, std::int64_t sequence);
std::int64_t get_sequence(const char* at) noexcept;

struct ItemKey {
  std::string type;
  std::string agent;
  std::string entity;
  std::string key;
  std::int64_t sequence;
};
std::optional<ItemKey> parse_item_key(std::string_view key);

/// A kind and up to two numbers, big endian.
std::string control_key(KeyKind kind);
std::string control_key(KeyKind kind, std::uint32_t region);
std::string outbox_key(std::uint32_t target, std::uint64_t number);
std::string producer_key(std::uint64_t producer);
std::string session_key(std::uint64_t session);
std::string chunk_key(std::uint64_t session, std::int64_t message_offset);
std::string request_id_key(std::string_view type, std::string_view agent, std::string_view id);

/// The least string above every string that starts with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

}  // namespace afdg::region
