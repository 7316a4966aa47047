#include <gtest/gtest.h>

#include "log/groups/testing/driver.h"
#include "log/groups/testing/member.h"
#include "log/groups/testing/pair.h"

namespace afdg::log::groups {
namespace {

using namespace std::chrono_literals;
using testing::Driver;
using testing::Pair;
using testing::TestMember;

CommitRequest simple(const std::string& group, const std::string& topic, std::int32_t partition,
                     std::int64_t offset) {
  CommitRequest r;
  r.group = group;
  r.topics.push_back({topic, {{partition, offset, -1, std::nullopt, std::nullopt}}});
  return r;
}
Errors commit(Driver& d, const CommitRequest& r) {
  return d.reply<CommitReply>(d.commit(r)).topics.at(0).partitions.at(0).error;
}
FetchReply::Partition fetch(Driver& d, const std::string& group, const std::string& topic,
                            std::int32_t partition) {
  const RequestToken token = d.fetch({{{group, {{{topic, {partition}}}}}}, false});
  return d.reply<FetchReply>(token).groups.at(0).topics.at(0).partitions.at(0);
}

TEST(GroupOffsets, ASimpleConsumerCommitsAndReads) {
  Driver d;
  EXPECT_EQ(fetch(d, "g", "t", 3).offset, -1);
  CommitRequest r = simple("g", "t", 3, 42);
  r.topics[0].partitions[0].leader_epoch = 7;
  r.topics[0].partitions[0].metadata = "m";
  EXPECT_EQ(commit(d, r), Errors::kNone);
  const FetchReply::Partition p = fetch(d, "g", "t", 3);
  EXPECT_EQ(p.offset, 42);
  EXPECT_EQ(p.leader_epoch, 7);
  EXPECT_EQ(p.metadata, "m");
  EXPECT_EQ(p.error, Errors::kNone);
  const DescribeReply::Group g = d.describe("g");
  EXPECT_EQ(g.state, "Empty");
  EXPECT_EQ(g.protocol_type, "");
  EXPECT_EQ(commit(d, simple("", "t", 0, 1)), Errors::kNone) << "the empty group id, as old consumers use it";
  EXPECT_EQ(fetch(d, "", "t", 0).offset, 1);
}

TEST(GroupOffsets, WhoMayCommit) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  const auto say = [&](std::int32_t generation, std::string member, std::optional<std::string> instance) {
    CommitRequest r = simple("g", "t", 0, 1);
    r.generation = generation;
    r.member_id = std::move(member);
    r.instance_id = std::move(instance);
    return std::string(errors_name(commit(d, r)));
  };
  EXPECT_EQ(say(1, g.a.id, {}), "NONE");
  EXPECT_EQ(say(1, g.a.id, "i-a"), "NONE");
  EXPECT_EQ(say(1, g.a.id, "i-b"), "FENCED_INSTANCE_ID");
  EXPECT_EQ(say(1, g.a.id, "i-c"), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(say(0, g.a.id, {}), "ILLEGAL_GENERATION");
  EXPECT_EQ(say(-1, g.a.id, {}), "ILLEGAL_GENERATION");
  EXPECT_EQ(say(1, "other", {}), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(say(-1, "", {}), "UNKNOWN_MEMBER_ID");
  g.leader->join();
  EXPECT_EQ(say(1, g.a.id, {}), "NONE") << "in PreparingRebalance members commit what they have";
  g.follower->join();
  EXPECT_EQ(say(2, g.a.id, {}), "REBALANCE_IN_PROGRESS");
  EXPECT_EQ(say(1, g.a.id, {}), "ILLEGAL_GENERATION");
  g.settle();
  static_cast<void>(g.a.leave());
  static_cast<void>(g.b.leave());
  EXPECT_EQ(say(-1, "", {}), "NONE") << "in Empty anyone";
  EXPECT_EQ(say(3, "", {}), "UNKNOWN_MEMBER_ID");
}

TEST(GroupOffsets, AGenerationInAGroupThatIsNotThere) {
  Driver d;
  CommitRequest r = simple("g", "t", 0, 1);
  r.generation = 0;
  EXPECT_EQ(commit(d, r), Errors::kIllegalGeneration);
  r.group_id_not_found_known = true;
  EXPECT_EQ(commit(d, r), Errors::kGroupIdNotFound);
  EXPECT_EQ(d.coordinator->stats().groups, 0u);
}

TEST(GroupOffsets, MetadataThatIsTooLargeFailsItsPartitionOnly) {
  Driver d;
  CommitRequest r = simple("g", "t", 0, 1);
  r.topics[0].partitions.push_back({1, 2, -1, std::string(4097, 'm'), std::nullopt});
  std::string wide;
  for (int i = 0; i < 4096; ++i) wide += "\u00e9";
  r.topics[0].partitions.push_back({2, 3, -1, wide, std::nullopt});
  const CommitReply reply = d.reply<CommitReply>(d.commit(r));
  EXPECT_EQ(reply.topics[0].partitions[0].error, Errors::kNone);
  EXPECT_EQ(reply.topics[0].partitions[1].error, Errors::kOffsetMetadataTooLarge);
  EXPECT_EQ(reply.topics[0].partitions[2].error, Errors::kNone) << "4096 characters are not too many";
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, 1);
  EXPECT_EQ(fetch(d, "g", "t", 1).offset, -1);
  EXPECT_EQ(fetch(d, "g", "t", 2).metadata, wide);
  CommitRequest only = simple("h", "t", 0, 1);
  only.topics[0].partitions[0].metadata = std::string(5000, 'm');
  EXPECT_EQ(commit(d, only), Errors::kOffsetMetadataTooLarge);
  EXPECT_EQ(d.describe("h").state, "Dead");
}

TEST(GroupOffsets, AnOffsetIsReadWhenItIsDurableAndAStableFetchWaitsForIt) {
  Driver d;
  d.hold_appends = true;
  const RequestToken c = d.commit(simple("g", "t", 0, 5));
  const RequestToken stable = d.fetch({{{"g", std::nullopt}, {"h", {{{"t", {0}}}}}}, true});
  EXPECT_FALSE(d.answered(c));
  EXPECT_FALSE(d.answered(stable));
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, -1);
  d.end_append(Status());
  EXPECT_EQ(d.reply<CommitReply>(c).topics[0].partitions[0].error, Errors::kNone);
  const FetchReply& f = d.reply<FetchReply>(stable);
  ASSERT_EQ(f.groups.size(), 2u);
  ASSERT_EQ(f.groups[0].topics.size(), 1u);
  EXPECT_EQ(f.groups[0].topics[0].partitions.at(0).offset, 5);
  EXPECT_EQ(f.groups[1].topics.at(0).partitions.at(0).offset, -1);
}

TEST(GroupOffsets, ACommitThatCannotBeStoredChangesNothing) {
  Driver d;
  d.hold_appends = true;
  const RequestToken first = d.commit(simple("g", "t", 0, 5));
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(d.reply<CommitReply>(first).topics[0].partitions[0].error, Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(d.describe("g").state, "Dead") << "the group came with the commit and goes with it";
  const RequestToken large = d.commit(simple("g", "t", 0, 5));
  d.end_append(fail(Code::kMessageTooLarge));
  EXPECT_EQ(d.reply<CommitReply>(large).topics[0].partitions[0].error, Errors::kUnknownServerError);
  EXPECT_EQ(d.coordinator->stats().offsets, 0u);
}

TEST(GroupOffsets, AllTopicsOfAGroup) {
  Driver d;
  CommitRequest r = simple("g", "t", 1, 10);
  r.topics[0].partitions.push_back({0, 11, -1, "", std::nullopt});
  r.topics.push_back({"s", {{4, 12, -1, "", std::nullopt}}});
  EXPECT_EQ(commit(d, r), Errors::kNone);
  const FetchReply f = d.reply<FetchReply>(d.fetch({{{"g", std::nullopt}, {"none", std::nullopt}}, false}));
  ASSERT_EQ(f.groups[0].topics.size(), 2u);
  EXPECT_EQ(f.groups[0].topics[0].topic, "s");
  EXPECT_EQ(f.groups[0].topics[1].partitions.size(), 2u);
  EXPECT_TRUE(f.groups[1].topics.empty());
  EXPECT_EQ(f.groups[1].error, Errors::kNone);
}

TEST(GroupOffsets, DeletionOfOffsets) {
  Driver d;
  EXPECT_EQ(d.reply<OffsetDeleteReply>(d.delete_offsets({"g", {{"t", {0}}}})).error,
            Errors::kGroupIdNotFound);
  EXPECT_EQ(d.reply<OffsetDeleteReply>(d.delete_offsets({"", {{"t", {0}}}})).error, Errors::kInvalidGroupId);
  Pair g(d);
  EXPECT_EQ(g.a.commit("t", 0, 1), Errors::kNone);
  EXPECT_EQ(g.a.commit("unread", 0, 1), Errors::kNone);
  const OffsetDeleteReply r =
      d.reply<OffsetDeleteReply>(d.delete_offsets({"g", {{"t", {0}}, {"unread", {0, 5}}}}));
  EXPECT_EQ(r.error, Errors::kNone);
  EXPECT_EQ(r.topics.at(0).partitions.at(0).error, Errors::kGroupSubscribedToTopic);
  EXPECT_EQ(r.topics.at(1).partitions.at(0).error, Errors::kNone);
  EXPECT_EQ(r.topics.at(1).partitions.at(1).error, Errors::kNone);
  EXPECT_EQ(g.a.committed("t", 0), 1);
  EXPECT_EQ(g.a.committed("unread", 0), -1);
  d.restart();
  EXPECT_EQ(g.a.committed("unread", 0), -1);
}

TEST(GroupOffsets, DeletionOfOffsetsInAGroupOfOthersThanConsumers) {
  Driver d;
  TestMember a(d, "g", "a");
  a.protocol_type = "connect";
  a.join();
  a.join();
  d.pass(10s);
  ASSERT_TRUE(a.joined());
  a.sync({{a.id, ""}});
  EXPECT_EQ(d.reply<OffsetDeleteReply>(d.delete_offsets({"g", {{"t", {0}}}})).error, Errors::kNonEmptyGroup);
}

TEST(GroupOffsets, ADeletionIsAnsweredWhenItIsDurableAndTakesCommitsOnTheWay) {
  Driver d;
  d.hold_appends = true;
  d.commit(simple("g", "t", 0, 1));
  const RequestToken token = d.delete_offsets({"g", {{"t", {0}}}});
  d.end_append(Status());
  EXPECT_FALSE(d.answered(token));
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, 1);
  d.end_append(Status());
  EXPECT_TRUE(d.answered(token));
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, -1);
}

TEST(GroupOffsets, ATopicsEndDropsItsOffsets) {
  Driver d;
  commit(d, simple("g", "t", 0, 1));
  commit(d, simple("g", "t2", 0, 1));
  commit(d, simple("h", "t", 3, 1));
  d.topic_deleted("t");
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, -1);
  EXPECT_EQ(fetch(d, "g", "t2", 0).offset, 1);
  EXPECT_EQ(fetch(d, "h", "t", 3).offset, -1);
  d.restart();
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, -1);
  EXPECT_EQ(fetch(d, "h", "t", 3).offset, -1);
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
}

TEST(GroupOffsets, BoundsOfACommit) {
  Options options;
  options.commit_partitions_max = 2;
  options.offsets_max = 3;
  options.groups_max = 2;
  options.name_bytes_max = 10;
  options.group_bytes_max = options.metadata_bytes_max = 1000;
  Driver d(options);
  CommitRequest r = simple("g", "t", 0, 1);
  r.topics[0].partitions.resize(3);
  EXPECT_EQ(commit(d, r), Errors::kPolicyViolation);
  EXPECT_EQ(commit(d, simple("g", std::string(11, 't'), 0, 1)), Errors::kPolicyViolation);
  EXPECT_EQ(commit(d, simple(std::string(11, 'g'), "t", 0, 1)), Errors::kPolicyViolation);
  CommitRequest large = simple("g", "t", 0, 1);
  large.topics[0].partitions[0].metadata = std::string(1000, 'm');
  EXPECT_EQ(commit(d, large), Errors::kPolicyViolation);
  EXPECT_EQ(d.coordinator->stats().groups, 0u);
  EXPECT_EQ(commit(d, simple("g", "t", 0, 1)), Errors::kNone);
  EXPECT_EQ(commit(d, simple("h", "t", 0, 1)), Errors::kNone);
  EXPECT_EQ(commit(d, simple("i", "t", 0, 1)), Errors::kPolicyViolation) << "a third group";
  TestMember third(d, "j", "a");
  third.join();
  EXPECT_EQ(third.error(), Errors::kPolicyViolation);
  EXPECT_EQ(commit(d, simple("g", "t", 1, 1)), Errors::kNone);
  EXPECT_EQ(commit(d, simple("g", "t", 2, 1)), Errors::kPolicyViolation) << "a fourth offset";
  EXPECT_EQ(d.reply<OffsetDeleteReply>(d.delete_offsets({"g", {{"t", {0, 1, 2}}}})).error,
            Errors::kPolicyViolation);
  const auto refused = [&](Bound bound) {
    return d.coordinator->refusals()[static_cast<std::size_t>(bound)];
  };
  EXPECT_EQ(refused(Bound::kCommitPartitions), 2u);
  EXPECT_EQ(refused(Bound::kNameBytes), 2u);
  EXPECT_EQ(refused(Bound::kGroupBytes), 1u);
  EXPECT_EQ(refused(Bound::kOffsets), 1u);
}

TEST(GroupOffsets, TheOffsetsOfOneGroupInAnAnswerAreBounded) {
  Options options;
  options.group_reply_bytes_max = 3000;
  Driver d(options);
  for (const char* topic : {"t", "u"}) {
    CommitRequest r = simple("g", topic, 0, 7);
    r.topics[0].partitions[0].metadata = std::string(2000, 'm');
    ASSERT_EQ(commit(d, r), Errors::kNone);
  }
  ASSERT_EQ(commit(d, simple("h", "t", 0, 8)), Errors::kNone);
  const auto refused = [&] {
    return d.coordinator->refusals()[static_cast<std::size_t>(Bound::kReplyBytes)];
  };
  // All of the group, or the same by name.
  for (const std::optional<std::vector<FetchRequest::Topic>>& asked :
       {std::optional<std::vector<FetchRequest::Topic>>(),
        std::optional<std::vector<FetchRequest::Topic>>({{"t", {0}}, {"u", {0}}})}) {
    const std::uint64_t before = refused();
    const auto reply = d.reply<FetchReply>(d.fetch({{{"g", asked}, {"h", std::nullopt}}, false}));
    ASSERT_EQ(reply.groups.size(), 2u);
    EXPECT_EQ(reply.groups[0].error, Errors::kPolicyViolation) << "never a part of it as if it were all";
    EXPECT_TRUE(reply.groups[0].topics.empty());
    EXPECT_EQ(reply.groups[1].error, Errors::kNone);
    EXPECT_EQ(reply.groups[1].topics.at(0).partitions.at(0).offset, 8);
    EXPECT_EQ(refused(), before + 1);
  }
  EXPECT_EQ(fetch(d, "g", "t", 0).offset, 7) << "some of them can be had";
  EXPECT_EQ(fetch(d, "g", "u", 0).metadata.size(), 2000u);
}

TEST(GroupOffsets, WhatIsAskedForOftenIsAnsweredOnce) {
  Driver d;
  commit(d, simple("g", "t", 0, 5));
  FetchRequest often;
  for (int i = 0; i < 1000; ++i) {
    often.groups.push_back({"g", {{{"t", std::vector<std::int32_t>(10, 0)}, {"t", {}}, {"u", {}}}}});
    often.groups.push_back({"h", std::nullopt});
  }
  often.groups.push_back({"g", {{{"t", {1, 0}}}}});
  const FetchReply reply = d.reply<FetchReply>(d.fetch(std::move(often)));
  ASSERT_EQ(reply.groups.size(), 2u);
  ASSERT_EQ(reply.groups[0].topics.size(), 2u);
  ASSERT_EQ(reply.groups[0].topics[0].partitions.size(), 2u);
  EXPECT_EQ(reply.groups[0].topics[0].partitions[0].offset, 5);
  EXPECT_EQ(reply.groups[0].topics[0].partitions[1].offset, -1);
  EXPECT_TRUE(reply.groups[0].topics[1].partitions.empty());

  // More than a group can have: not even looked at.
  std::vector<std::int32_t> many(Options().commit_partitions_max + 1, 0);
  const FetchReply refused = d.reply<FetchReply>(d.fetch({{{"g", {{{"t", std::move(many)}}}}}, false}));
  EXPECT_EQ(refused.groups.at(0).error, Errors::kPolicyViolation);
  EXPECT_TRUE(refused.groups.at(0).topics.empty());
}

}  // namespace
}  // namespace afdg::log::groups
