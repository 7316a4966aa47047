#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace afdg {

/// A number of one kind that does not convert to a number of another kind. Constructed explicitly, read by
/// value().
template <typename Tag, typename Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() noexcept = default;
  constexpr explicit Id(Rep value) noexcept : value_(value) {}
  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }
  friend constexpr auto operator<=>(Id, Id) noexcept = default;

 private:
  Rep value_{};
};

/// A position in a partition. Adding a count gives a later position; the difference of two is a count.
class Offset : public Id<struct OffsetTag, std::int64_t> {
 public:
  using Id::Id;
  friend constexpr Offset operator+(Offset o, std::int64_t count) noexcept {
    return Offset(o.value() + count);
  }
  friend constexpr std::int64_t operator-(Offset a, Offset b) noexcept { return a.value() - b.value(); }
  constexpr Offset& operator++() noexcept { return *this = *this + 1; }
};

using NodeId = Id<struct NodeIdTag, std::int32_t>;
/// The index of a region in its grid, and of its partitions in the grid's topics.
using RegionId = Id<struct RegionIdTag, std::int32_t>;
/// Leader epoch of a region or partition; grows with each leader.
using Epoch = Id<struct EpochTag, std::int32_t>;
/// Identity of a topic; never reused after deletion.
using TopicId = Id<struct TopicIdTag, std::uint64_t>;
using GridId = Id<struct GridIdTag, std::uint64_t>;
/// Identity of a node's life: a new one for each data directory.
using Incarnation = Id<struct IncarnationTag, std::uint64_t>;
using PartitionIndex = Id<struct PartitionIndexTag, std::int32_t>;

/// One partition of one topic.
struct TopicPartition {
  TopicId topic;
  PartitionIndex partition;
  friend constexpr auto operator<=>(const TopicPartition&, const TopicPartition&) noexcept = default;
};

}  // namespace afdg

template <typename Tag, typename Rep>
struct std::hash<afdg::Id<Tag, Rep>> {
  std::size_t operator()(afdg::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>()(id.value()); }
};
template <>
struct std::hash<afdg::Offset> {
  std::size_t operator()(afdg::Offset id) const noexcept { return std::hash<std::int64_t>()(id.value()); }
};
template <>
struct std::hash<afdg::TopicPartition> {
  std::size_t operator()(const afdg::TopicPartition& tp) const noexcept {
    return std::hash<std::uint64_t>()(tp.topic.value() * 0x9e3779b97f4a7c15ULL +
                                      static_cast<std::uint64_t>(tp.partition.value()));
  }
};
