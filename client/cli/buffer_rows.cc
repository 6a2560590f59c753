#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr char kNothing[] = "–";

std::string Joined(const std::vector<std::string>& names) { return names.empty() ? kNothing : absl::StrJoin(names, ","); }

// Nothing, where it has not happened: what is wrong stands out.
Table::Cell Count(uint64_t count, Table::Colour colour = Table::Colour::kYellow) {
  return count == 0 ? Table::Cell(kNothing) : Table::Cell(absl::StrCat(count), colour);
}

Table::Cell HighWater(uint64_t high_water, uint64_t capacity) {
  return {absl::StrCat(high_water), capacity != 0 && high_water >= capacity ? Table::Colour::kYellow : Table::Colour::kNone};
}

absl::Duration ToDuration(const google::protobuf::Duration& d) { return absl::Seconds(d.seconds()) + absl::Nanoseconds(d.nanos()); }

bool BlockedNow(const v1::Buffer& buffer) {
  return std::any_of(buffer.lanes().begin(), buffer.lanes().end(), [](const v1::LaneStatus& lane) { return lane.has_blocked_since(); });
}

bool Quarantined(const v1::Buffer& buffer) {
  return std::any_of(buffer.lanes().begin(), buffer.lanes().end(), [](const v1::LaneStatus& l) { return !l.quarantined().empty(); });
}

Table::Cell BlockedCell(const v1::Buffer& buffer) {
  const std::string share = BlockedShare(buffer.totals());
  if (BlockedNow(buffer)) return {absl::StrCat(share == kNothing ? "" : share + ", ", "now"), Table::Colour::kYellow};
  return share;
}

std::string SinceText(const google::protobuf::Timestamp& since, absl::Time now) {
  return For(std::max(absl::ZeroDuration(), now - ToTime(since)));
}

Table::Cell StateOf(const v1::LaneStatus& lane, absl::Time now) {
  if (!lane.quarantined().empty()) return {"quarantined", Table::Colour::kRed};
  if (lane.has_blocked_since()) {
    const std::string since = SinceText(lane.blocked_since(), now);
    return {since == "0.0 s" ? "blocked" : absl::StrCat("blocked for ", since), Table::Colour::kYellow};
  }
  return lane.complete() ? "complete" : lane.ended() ? "ended" : "open";
}

std::string BlockedText(const v1::LaneStatus& lane) {
  if (lane.blocked_times() == 0) return kNothing;
  return absl::StrCat(lane.blocked_times(), " x, ", For(ToDuration(lane.blocked())));
}

}  // namespace

std::string BlockedShare(const v1::BufferTotals& totals) {
  const double blocked = absl::ToDoubleSeconds(ToDuration(totals.blocked()));
  const double observed = absl::ToDoubleSeconds(ToDuration(totals.observed()));
  if (totals.blocked_times() == 0 || observed <= 0) return kNothing;
  const double percent = std::min(100.0, 100 * blocked / observed);
  return percent < 0.1 ? "<0.1 %" : absl::StrFormat("%.*f %%", percent < 10 ? 1 : 0, percent);
}

Table BufferTable(const Repeated<v1::Buffer>& buffers, bool wide) {
  std::vector<std::string> titles = {"BUFFER",  ">CAPACITY", ">ITEMS",   "ON FULL",  ">PUBLISHED",
                                     ">RATE/s", ">WAITING",  ">HIGHEST", ">DROPPED", ">BLOCKED"};
  if (wide) titles.insert(titles.end(), {">LANES", ">REDELIVERED", ">MISSED", "PUBLISHERS", "SUBSCRIBERS"});
  Table table(titles);
  for (const v1::Buffer& buffer : buffers) {
    uint64_t waiting = 0;
    double rate = 0;
    std::vector<std::string> publishers, subscribers;
    for (const v1::LaneStatus& lane : buffer.lanes()) {
      waiting += lane.waiting();
      rate += lane.rate();
      const std::string name = ShortName(lane.publisher());
      if (std::find(publishers.begin(), publishers.end(), name) == publishers.end()) publishers.push_back(name);
    }
    for (const v1::SubscriptionStatus& s : buffer.subscriptions()) subscribers.push_back(ShortName(s.subscriber()));
    const v1::BufferTotals& totals = buffer.totals();
    const uint64_t items = buffer.spec().capacity_items();
    const auto colour = Quarantined(buffer) ? Table::Colour::kRed : Table::Colour::kNone;
    std::vector<Table::Cell> row = {{ShortName(buffer.name()), colour},
                                    buffer.spec().has_capacity() ? Bytes(buffer.spec().capacity().bytes()) : kNothing,
                                    items == 0 ? kNothing : absl::StrCat(items),
                                    OnFullName(buffer.spec().on_full()),
                                    absl::StrCat(totals.published()),
                                    Rate(rate),
                                    absl::StrCat(waiting),
                                    HighWater(totals.high_water(), items),
                                    Count(totals.dropped()),
                                    BlockedCell(buffer)};
    if (wide) {
      row.insert(row.end(), {absl::StrCat(buffer.lanes_size()), Count(totals.redelivered()), Count(totals.missed()), Joined(publishers),
                             Joined(subscribers)});
    }
    table.Add(std::move(row));
  }
  return table;
}

Table LaneTable(const v1::Buffer& buffer, absl::Time now) {
  Table lanes({"PUBLISHER", ">EPOCH", ">REPLICA", ">PUBLISHED", ">RATE/s", ">WAITING", ">HIGHEST", ">CAPACITY", ">USED", ">SIZE",
               ">DROPPED", ">BLOCKED", "STATE"});
  for (const v1::LaneStatus& lane : buffer.lanes()) {
    lanes.Add({ShortName(lane.publisher()), absl::StrCat(lane.epoch()), absl::StrCat(lane.replica()), absl::StrCat(lane.published()),
               Rate(lane.rate()), absl::StrCat(lane.waiting()), HighWater(lane.high_water(), lane.capacity()),
               absl::StrCat(lane.capacity()), Bytes(lane.bytes_used()), Bytes(lane.bytes()), Count(lane.dropped()), BlockedText(lane),
               StateOf(lane, now)});
  }
  return lanes;
}

Table SubscriptionTable(const v1::Buffer& buffer) {
  Table subscriptions({"SUBSCRIBER", "KIND", ">FINISHED", ">RATE/s", ">WAITING", ">HIGHEST", ">REDELIVERED", ">MISSED"});
  for (const v1::SubscriptionStatus& s : buffer.subscriptions()) {
    subscriptions.Add({ShortName(s.subscriber()), s.reliable() ? "reliable" : "lossy", absl::StrCat(s.finished()), Rate(s.rate()),
                       absl::StrCat(s.waiting()), absl::StrCat(s.high_water()), Count(s.redelivered()), Count(s.missed())});
  }
  return subscriptions;
}

Table LagTable(const v1::Buffer& buffer) {
  Table lags({"SUBSCRIBER", "PUBLISHER", ">EPOCH", ">REPLICA", ">WAITING", ">HIGHEST"});
  for (const v1::SubscriptionStatus& s : buffer.subscriptions()) {
    for (const v1::Lag& lag : s.lags()) {
      lags.Add({ShortName(s.subscriber()), ShortName(lag.publisher()), absl::StrCat(lag.epoch()), absl::StrCat(lag.replica()),
                absl::StrCat(lag.waiting()), absl::StrCat(lag.high_water())});
    }
  }
  return lags;
}

}  // namespace puma::client
