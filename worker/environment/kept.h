#ifndef PUMA_WORKER_ENVIRONMENT_KEPT_H_
#define PUMA_WORKER_ENVIRONMENT_KEPT_H_
// What a keeper knows of one buffer. Private to keeper*.cc.
#include "worker/environment/keeper.h"

namespace puma::internal {

// One publisher's lane, until everybody has read it to its end.
struct Keeper::Lane {
  uint64_t id = 0;
  Party* owner = nullptr;  // null: it has left
  UniqueFd fd;
  Segment map;
  RingReader ring;
  uint64_t opened = 0, left = 0;
  bool completed = false;
  absl::Status error;

  bool closed() const { return ring.header().closed.load(std::memory_order_acquire) != 0; }
  uint64_t end() const { return closed() ? ring.header().close_number.load(std::memory_order_relaxed) : ring.tail(); }
};

// How far a position has come in a lane.
struct Keeper::Reading {
  uint64_t next = 0, deliveries = 0, handed = 0;
  uint32_t slot = 0;    // of the page of who holds the position
  bool granted = true;  // false: the publisher has not yet said where it begins
};

// A place in the buffer from which somebody reads, or will.
struct Keeper::Position {
  uint64_t gate = 0;  // its name towards publishers
  std::string name;
  bool gates = true;
  bool stays = true;   // without a holder
  bool fresh = false;  // it has missed what was published before it was made
  std::map<uint64_t, Reading> readings;
  bool completed = false;  // a lane that was read to its end had completed
  // Who reads from it now.
  Party* holder = nullptr;
  uint64_t subscription = 0;
  UniqueFd page, sleep;
  std::optional<TaskPageView> view;
  std::vector<bool> slots;
  bool told_over = false, delivered = false;
  size_t pending = 0;
  Answer answer;
  bool reads() const { return holder != nullptr && !delivered; }
};

struct Keeper::Kept {
  BufferFacts facts;
  uint64_t maker = 0;
  const Party* party = nullptr;  // null: ours
  BufferType type;
  BufferOptions options;
  std::map<uint64_t, Party*> seats;  // of publishers that have not opened yet, and who has reserved them
  std::list<Lane> lanes;
  std::list<Position> positions;
  bool any_completed = false;  // since somebody has subscribed anew
  bool closed = false;         // complete: no publisher may open until somebody subscribes anew
  int64_t discard_at = 0;      // CLOCK_MONOTONIC; 0: in use, or empty
  absl::Status untold;         // the error of a completion that was discarded
  bool many() const { return options.subscriptions == Subscriptions::kMany; }
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_KEPT_H_
