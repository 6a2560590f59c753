#include "server/telemetry/event_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void Add(EventFeed& feed, const std::string& name, const std::string& message) {
  v1::Event event;
  event.set_name(name);
  event.set_message(message);
  feed.Add(event);
}

v1::WatchEventsRequest Watch(const std::string& parent, int history, const std::string& revision = "") {
  v1::WatchEventsRequest request;
  request.set_parent(parent);
  request.set_history(history);
  request.set_revision(revision);
  return request;
}

class Viewer {
 public:
  Viewer(const EventFeed& feed, const v1::WatchEventsRequest& request) : feed_(feed), parent_(request.parent()) {
    const absl::StatusOr<EventFeed::Position> position = feed.Begin(request);
    EXPECT_TRUE(position.ok()) << position.status();
    if (position.ok()) position_ = *position;
  }
  std::vector<std::string> All() {
    std::vector<std::string> messages;
    v1::WatchEventsResponse batch;
    while (feed_.Take(parent_, position_, batch)) {
      if (batch.has_gap()) messages.push_back("gap " + std::to_string(batch.gap().count()));
      for (const v1::Event& event : batch.events()) messages.push_back(event.message());
      revision = batch.revision();
    }
    return messages;
  }
  std::string revision;

 private:
  const EventFeed& feed_;
  const std::string parent_;
  EventFeed::Position position_;
};

TEST(EventFeedTest, AViewerSeesAsMuchHistoryAsItAsksForAndThenWhatComes) {
  EventFeed feed;
  for (const char* message : {"one", "two", "three"}) Add(feed, "host", message);
  Viewer none(feed, Watch("", 0)), two(feed, Watch("", 2)), all(feed, Watch("", -1)), many(feed, Watch("", 1000));
  EXPECT_THAT(none.All(), IsEmpty());
  EXPECT_NE(none.revision, "") << "known from the first batch on";
  EXPECT_THAT(two.All(), ElementsAre("two", "three"));
  EXPECT_THAT(all.All(), ElementsAre("one", "two", "three"));
  EXPECT_THAT(many.All(), ElementsAre("one", "two", "three"));
  Add(feed, "host", "four");
  EXPECT_THAT(none.All(), ElementsAre("four"));
  EXPECT_THAT(none.All(), IsEmpty());
}

TEST(EventFeedTest, OnlyWhatIsWithinTheParentIsSeenAndCounted) {
  EventFeed feed;
  Add(feed, "pipelines/p", "of p");
  Add(feed, "pipelines/p/tasks/t", "of t");
  Add(feed, "pipelines/p2", "of p2");
  Add(feed, "pipelines/p/tasks/t2", "of t2");
  EXPECT_THAT(Viewer(feed, Watch("pipelines/p", -1)).All(), ElementsAre("of p", "of t", "of t2"));
  EXPECT_THAT(Viewer(feed, Watch("pipelines/p/tasks/t", -1)).All(), ElementsAre("of t"));
  EXPECT_THAT(Viewer(feed, Watch("pipelines/p", 2)).All(), ElementsAre("of t", "of t2"));
}

TEST(EventFeedTest, AnEventsRevisionAndABatchsAreWhereToGoOn) {
  EventFeed feed;
  Add(feed, "host", "one");
  Viewer viewer(feed, Watch("", -1));
  viewer.All();
  Add(feed, "host", "two");
  EXPECT_THAT(Viewer(feed, Watch("", 0, viewer.revision)).All(), ElementsAre("two"));
  EXPECT_THAT(Viewer(feed, Watch("", 0, feed.List("", "", 1)->events(0).revision())).All(), ElementsAre("two"));
}

TEST(EventFeedTest, TooOldAndForeignRevisionsAreToldApartFromNoRevisions) {
  EventFeed feed(2), other;
  Viewer viewer(feed, Watch("", -1));
  viewer.All();
  EXPECT_EQ(other.Begin(Watch("", 0, viewer.revision)).status().code(), absl::StatusCode::kOutOfRange);
  for (const char* message : {"one", "two", "three"}) Add(feed, "host", message);
  EXPECT_EQ(feed.Begin(Watch("", 0, viewer.revision)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(feed.Begin(Watch("", 0, "17")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(viewer.All(), ElementsAre("gap 1", "two", "three")) << "one that had begun is told what it missed";
}

TEST(EventFeedTest, PagesGoOnWhereTheLastOneEnded) {
  EventFeed feed;
  for (int i = 0; i < 5; ++i) Add(feed, i % 2 == 0 ? "pipelines/p" : "pipelines/q", std::to_string(i));
  const absl::StatusOr<v1::ListEventsResponse> first = feed.List("pipelines/p", "", 2);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->events_size(), 2);
  EXPECT_EQ(first->events(1).message(), "2");
  const absl::StatusOr<v1::ListEventsResponse> second = feed.List("pipelines/p", first->next_page_token(), 2);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->events_size(), 1);
  EXPECT_EQ(second->events(0).message(), "4");
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_EQ(feed.List("", "x", 2).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(EventFeedTest, ListenersAreTold) {
  EventFeed feed;
  std::atomic<int> told{0};
  auto subscription = feed.Subscribe([&] { ++told; });
  Add(feed, "host", "one");
  EXPECT_EQ(told, 1);
  subscription.reset();
  Add(feed, "host", "two");
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace puma::server
