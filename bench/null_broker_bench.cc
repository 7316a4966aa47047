// A Kafka broker that keeps nothing: it reads produce requests and answers them at once. What a producer
// reaches with it is what the producer itself can do, see bench/kafka.py. Arguments: [port, 0: a free one]
// [nanoseconds of the processor that it burns for each KiB of a request, 0]: what a producer reaches with a
// broker that costs so much, and waits for nothing. Prints the port.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "kafka/api_versions.h"
#include "kafka/frame.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/produce.h"

namespace {

using namespace afdg;
using namespace afdg::kafka;

constexpr int kPartitions = 4;  // of whatever topic is asked for
constexpr std::size_t kRequestBytesMax = std::size_t{32} << 20;

std::array<std::atomic<std::int64_t>, kPartitions> ends{};
int own_port = 0;
std::int64_t burned_ns_a_kib = 0;

/// The offset of the first record of these batches, as if they had been appended.
std::int64_t appended(std::size_t partition, std::string_view batch) {
  constexpr std::size_t kLastOffsetDeltaAt = 23;
  if (batch.size() < kLastOffsetDeltaAt + 4) return -1;
  std::uint32_t delta = 0;
  std::memcpy(&delta, batch.data() + kLastOffsetDeltaAt, sizeof delta);
  return ends.at(partition).fetch_add(std::int64_t{ntohl(delta)} + 1);
}

Status answer_produce(const Request& request, Writer& out) {
  ProduceRequest produce;
  AFDG_TRY(decode(produce, request.version, request.body));
  ProduceResponse response;
  for (const auto& topic : produce.topic_data) {
    auto& told = response.responses.emplace_back();
    told.name = topic.name;
    for (const auto& partition : topic.partition_data) {
      auto& one = told.partition_responses.emplace_back();
      one.index = partition.index;
      one.base_offset =
          appended(static_cast<std::size_t>(partition.index) % kPartitions, partition.records.bytes());
    }
  }
  if (produce.acks == 0) return {};
  return write_response(out, request, response);
}

Status answer_metadata(const Request& request, Writer& out) {
  MetadataRequest metadata;
  AFDG_TRY(decode(metadata, request.version, request.body));
  MetadataResponse response;
  response.brokers.push_back({1, "127.0.0.1", own_port, {}});
  response.controller_id = 1;
  response.cluster_id = "null";
  if (metadata.topics) {
    for (const auto& asked : *metadata.topics) {
      auto& topic = response.topics.emplace_back();
      topic.name = asked.name;
      topic.topic_id = {1, 1};
      for (int i = 0; i < kPartitions; ++i) {
        auto& partition = topic.partitions.emplace_back();
        partition.partition_index = i;
        partition.leader_id = 1;
        partition.leader_epoch = 0;
        partition.replica_nodes = partition.isr_nodes = {1};
      }
    }
  }
  return write_response(out, request, response);
}

Status answer(const Request& request, Writer& out) {
  switch (request.api->key) {
    case Key::kApiVersions: {
      const auto served = [](Key key) {
        return key == Key::kApiVersions || key == Key::kMetadata || key == Key::kInitProducerId ||
               key == Key::kProduce;
      };
      AFDG_ASSIGN(const auto versions, answer_api_versions(request, served));
      return write_response(out, request, versions);
    }
    case Key::kMetadata:
      return answer_metadata(request, out);
    case Key::kInitProducerId: {
      InitProducerIdResponse response;
      response.producer_id = 1;
      return write_response(out, request, response);
    }
    case Key::kProduce:
      return answer_produce(request, out);
    default:
      return fail(Code::kUnsupported, "only produce requests are answered here");
  }
}

bool receive(int fd, char* into, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(fd, into, size, 0);
    if (got <= 0) return false;
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::int64_t processor_ns() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::int64_t{spent.tv_sec} * 1'000'000'000 + spent.tv_nsec;
}

void burn(std::size_t request_bytes) {
  if (burned_ns_a_kib == 0) return;
  const std::int64_t until =
      processor_ns() + static_cast<std::int64_t>(request_bytes) * burned_ns_a_kib / 1024;
  while (processor_ns() < until) {
  }
}

void serve(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::string frame;
  Writer out;
  for (std::array<char, 4> head{}; receive(fd, head.data(), head.size());) {
    const auto size = frame_size({head.data(), head.size()}, kRequestBytesMax);
    if (!size.ok()) break;
    frame.resize(*size);
    if (!receive(fd, frame.data(), frame.size())) break;
    burn(frame.size());
    const auto request = parse_request(frame);
    out.clear();
    const Status answered = request.ok() ? answer(*request, out) : Status(request.error());
    if (!answered.ok()) {
      std::fprintf(stderr, "null_broker: %s\n", answered.error().text().c_str());
      break;
    }
    if (!send(fd, out.view())) break;
  }
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  burned_ns_a_kib = argc > 2 ? std::atoll(argv[2]) : 0;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 64) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::fprintf(stderr, "null_broker: cannot listen: %s\n", std::strerror(errno));
    return 2;
  }
  own_port = ntohs(address.sin_port);
  std::printf("%d\n", own_port);
  std::fflush(stdout);
  for (;;) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd >= 0) std::thread(serve, fd).detach();
  }
}
