#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "kafka/frame.h"
#include "kafka/messages/fetch.h"
#include "kafka/messages/produce.h"
#include "kafka/testing/heap.h"

namespace {
std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> held{0};
std::atomic<std::size_t> held_peak{0};

void release(void* at) noexcept {
  if (at != nullptr) held.fetch_sub(malloc_usable_size(at), std::memory_order_relaxed);
  std::free(at);
}
}  // namespace

std::size_t afdg::kafka::testing::heap_bytes() noexcept { return held.load(); }
std::size_t afdg::kafka::testing::heap_bytes_peak() noexcept { return held_peak.load(); }
void afdg::kafka::testing::reset_heap_peak() noexcept { held_peak = held.load(); }

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // both are replaced here
#endif

// Counts what this test program takes from the heap.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const at = std::malloc(size);
  if (at == nullptr) throw std::bad_alloc();
  const std::size_t taken = malloc_usable_size(at);
  const std::size_t now = held.fetch_add(taken, std::memory_order_relaxed) + taken;
  if (now > held_peak.load(std::memory_order_relaxed)) held_peak.store(now, std::memory_order_relaxed);
  return at;
}
void operator delete(void* at) noexcept { release(at); }
void operator delete(void* at, std::size_t) noexcept { release(at); }

namespace afdg::kafka {
namespace {

template <class F>
std::size_t counted(F&& f) {
  f();  // the first time takes the memory that is kept
  const std::size_t before = allocations.load();
  for (int i = 0; i < 10; ++i) f();
  return allocations.load() - before;
}

TEST(Allocations, AMessageObjectThatIsUsedAgainTakesNone) {
  const std::string records(1000, 'r');
  ProduceRequest produce;
  produce.topic_data.resize(2);
  for (auto& topic : produce.topic_data) {
    topic.name = "topic";
    topic.partition_data.resize(4);
    for (auto& partition : topic.partition_data) partition.records = std::string_view(records);
  }
  FetchRequest fetch;
  fetch.topics.resize(2);
  for (auto& topic : fetch.topics) topic.partitions.resize(8);
  FetchResponse response;
  response.responses.resize(2);
  for (auto& topic : response.responses) {
    topic.partitions.resize(8);
    for (auto& partition : topic.partitions) partition.records = Records::external(1, 1'000'000);
  }
  for (const std::int16_t version : {std::int16_t{4}, std::int16_t{11}}) {
    Writer bytes, more;
    ASSERT_TRUE(write_request(bytes, version, 1, "client", produce).ok());
    ASSERT_TRUE(write_request(more, version, 1, "client", fetch).ok());
    ProduceRequest produced;
    FetchRequest fetched;
    EXPECT_EQ(counted([&] {
                const auto request = parse_request(bytes.view().substr(4));
                ASSERT_TRUE(decode(produced, request->version, request->body).ok());
              }),
              0u);
    EXPECT_EQ(produced.topic_data[1].partition_data[3].records.bytes(), records);
    EXPECT_EQ(counted([&] {
                const auto request = parse_request(more.view().substr(4));
                ASSERT_TRUE(decode(fetched, request->version, request->body).ok());
              }),
              0u);
    EXPECT_EQ(fetched.topics[1].partitions.size(), 8u);
    Request request;
    request.api = &api(Key::kFetch);
    request.version = version;
    Writer out;
    EXPECT_EQ(counted([&] {
                out.clear();
                ASSERT_TRUE(write_response(out, request, response).ok());
                ASSERT_EQ(out.pieces().size(), 32u);
              }),
              0u);
  }
}

}  // namespace
}  // namespace afdg::kafka
