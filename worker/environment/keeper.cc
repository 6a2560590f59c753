#include "worker/environment/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <utility>

#include "worker/environment/error_text.h"
#include "worker/environment/kept.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

UniqueFd Duplicate(const UniqueFd& fd) { return UniqueFd(fd.valid() ? ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1); }

}  // namespace

Keeper::Keeper(std::function<void(int64_t)> wake_at) : wake_at_(std::move(wake_at)) {}

Keeper::~Keeper() {
  for (Kept& kept : buffers_) {
    for (Lane& lane : kept.lanes) DropLane(kept, lane);
  }
}

// ---- publishers ------------------------------------------------------------------------------------------------------------------------

namespace {
absl::Status Complete(const std::string& buffer) {
  return absl::FailedPreconditionError(
      fmt::format("buffer \"{}\" is complete; it takes publishers again once somebody subscribes anew", buffer));
}
}  // namespace

absl::StatusOr<uint64_t> Keeper::ReserveSeat(Party& party, uint64_t buffer) {
  MutexLock lock(mutex_);
  Kept* const kept = FindKept(buffer);
  if (kept == nullptr) return absl::FailedPreconditionError("this buffer has been destroyed");
  if (kept->closed) return Complete(kept->facts.name);
  const uint64_t seat = ++last_id_;
  kept->seats[seat] = &party;
  Settle(*kept);
  return seat;
}

void Keeper::LeaveSeat(uint64_t seat) {
  MutexLock lock(mutex_);
  for (Kept& kept : buffers_) {
    if (kept.seats.erase(seat) != 0) Settle(kept);
  }
}

absl::Status Keeper::OpenPublisher(Party& party, uint64_t buffer, uint64_t id, UniqueFd fd, uint64_t seat) {
  MutexLock lock(mutex_);
  Kept* kept = FindKept(buffer);
  if (kept == nullptr) return absl::FailedPreconditionError("this buffer has been destroyed");
  const std::string& name = kept->facts.name;
  const bool seated = kept->seats.contains(seat);
  if (kept->closed && !seated) return Complete(name);  // who has a seat came before the completion
  if (kept->lanes.size() >= TaskPage::kSlots) {
    return absl::ResourceExhaustedError(
        fmt::format("buffer \"{}\" has {} publishers whose values are not yet read; there is no room for more", name, TaskPage::kSlots));
  }
  auto map = Segment::MapReadOnly(Duplicate(fd), Seals::kOneWriter, sizeof(RingHeader));
  if (!map.ok()) return map.status();
  map->TakeFd();
  auto ring = RingReader::Open({map->data(), map->size()});
  if (!ring.ok()) return ring.status();
  if (ring->constants().lane_id != id) return absl::DataLossError(fmt::format("buffer \"{}\": a lane with another's number", name));
  kept->lanes.emplace_back();
  Lane& lane = kept->lanes.back();
  lane.id = id;
  lane.owner = &party;
  lane.fd = std::move(fd);
  lane.map = *std::move(map);
  lane.ring = *std::move(ring);
  lane.opened = ++clock_;
  if (seated) kept->seats.erase(seat);
  for (Position& position : kept->positions) {
    if (!position.delivered || position.stays) Bind(*kept, position, lane, false, false);
  }
  Settle(*kept);
  return absl::OkStatus();
}

// A position begins to read a lane, or to wait in it for somebody who will. `fresh`: the lane may have values that are gone already, and
// only its publisher can say where reading begins.
void Keeper::Bind(Kept& kept, Position& position, Lane& lane, bool fresh, bool from_now) {
  const bool gates = position.gates && !kept.facts.lossy();
  const bool ask = fresh && gates && lane.owner != nullptr;
  auto [at, added] = position.readings.try_emplace(lane.id);
  Reading& reading = at->second;
  if (added) {
    reading.next = fresh ? lane.ring.released() : lane.ring.constants().base;
    if (fresh && from_now) reading.next = lane.ring.tail();
  }
  if (position.reads()) {
    const auto free = std::find(position.slots.begin(), position.slots.end(), false);
    reading.slot = static_cast<uint32_t>(free - position.slots.begin());  // as many lanes as slots: there is one
    *free = true;
  }
  if (lane.owner != nullptr && (gates || position.reads())) {
    GateOrder order;
    order.lane = lane.id;
    order.gate = position.gate;
    order.gates = gates;
    order.slot = reading.slot;
    order.floor = reading.next;
    order.from_now = ask && from_now;
    order.answer = ask;
    if (position.reads()) {
      order.page = Duplicate(position.page);
      order.sleep = Duplicate(position.sleep);
    }
    const auto granted = lane.owner->SetGate(std::move(order));
    if (ask && granted) reading.next = *granted;
    reading.granted = !ask || granted.has_value();
    if (!reading.granted) ++position.pending;
  }
  if (reading.granted) AttachTo(kept, position, lane);
}

void Keeper::AttachTo(Kept&, Position& position, Lane& lane) {
  if (!position.reads()) return;
  const Reading& reading = position.readings.at(lane.id);
  AttachOrder order;
  order.subscription = position.subscription;
  order.lane = lane.id;
  order.slot = reading.slot;
  order.start = reading.next;
  order.deliveries = reading.deliveries;
  order.handed = reading.handed;
  order.opened = lane.opened;
  order.fd = Duplicate(lane.fd);
  position.holder->Attach(std::move(order));
  if (lane.left != 0) position.holder->LaneLeft(position.subscription, lane.id, lane.left);
}

void Keeper::Granted(uint64_t id, uint64_t gate, uint64_t start) {
  MutexLock lock(mutex_);
  auto [kept, lane] = FindLane(id);
  if (lane == nullptr) return;
  for (Position& position : kept->positions) {
    auto at = position.readings.find(id);
    if (position.gate != gate || at == position.readings.end() || at->second.granted) continue;
    at->second.granted = true;
    at->second.next = start;
    --position.pending;
    AttachTo(*kept, position, *lane);
    AnswerIfGranted(position);
  }
}

void Keeper::AnswerIfGranted(Position& position) {
  if (position.pending == 0 && position.answer) std::exchange(position.answer, nullptr)(absl::OkStatus());
}

void Keeper::PublisherCompleted(uint64_t id) {
  MutexLock lock(mutex_);
  auto [kept, lane] = FindLane(id);
  if (lane == nullptr) return;
  NoteCompletion(*kept, *lane);
  Settle(*kept);
}

void Keeper::NoteCompletion(Kept& kept, Lane& lane) {
  if (lane.completed || !lane.closed()) return;
  lane.completed = true;
  lane.error = ErrorFromText(lane.ring.ErrorText());
  kept.any_completed = true;
  if (!lane.error.ok()) kept.closed = true;
}

void Keeper::ClosePublisher(uint64_t id) {
  MutexLock lock(mutex_);
  auto [kept, lane] = FindLane(id);
  if (lane == nullptr || lane->owner == nullptr) return;
  LeaveLane(*kept, *lane);
  Settle(*kept);
}

void Keeper::LeaveLane(Kept& kept, Lane& lane) {
  lane.owner = nullptr;
  lane.left = ++clock_;
  NoteCompletion(kept, lane);  // it may have died before it could tell
  for (Position& position : kept.positions) {
    auto at = position.readings.find(lane.id);
    if (at == position.readings.end()) continue;
    if (!at->second.granted) {  // nobody will say now; and nothing is overwritten any more
      at->second.granted = true;
      --position.pending;
      AttachTo(kept, position, lane);
      AnswerIfGranted(position);
    } else if (position.holder != nullptr) {
      position.holder->LaneLeft(position.subscription, lane.id, lane.left);
    }
  }
}

// ---- subscriptions ---------------------------------------------------------------------------------------------------------------------

Keeper::Position& Keeper::AddPosition(Kept& kept, std::string name, bool gates) {
  kept.positions.emplace_back();
  Position& position = kept.positions.back();
  position.gate = ++last_id_;
  position.name = std::move(name);
  position.gates = gates;
  position.fresh = true;
  return position;
}

absl::StatusOr<Keeper::Position*> Keeper::ManyPositionFor(Kept& kept, const SubscribeOptions& options) {
  Position* orphan = nullptr;  // kept for whoever comes
  for (Position& position : kept.positions) {
    if (!options.name.empty() && position.name == options.name) return &position;
    if (position.name.empty() && position.holder == nullptr && position.gates) orphan = &position;
  }
  if (options.name.empty() && orphan != nullptr && !options.from_now) return orphan;
  if (orphan != nullptr) RemovePosition(kept, orphan->gate);
  return &AddPosition(kept, options.name, true);
}

absl::StatusOr<Keeper::Position*> Keeper::PositionFor(Kept& kept, const SubscriptionRequest& request) {
  const std::string& name = kept.facts.name;
  const SubscribeOptions& options = request.options;
  if (options.lossy && !options.name.empty())
    return absl::InvalidArgumentError(fmt::format("buffer \"{}\": a lossy subscription has no position to be named", name));
  if (options.lossy) return &AddPosition(kept, "", false);
  if (kept.many()) return ManyPositionFor(kept, options);
  if (!options.name.empty() || options.from_now) {
    return absl::InvalidArgumentError(
        fmt::format("buffer \"{}\" was made for one subscription at a time: no names, no beginning from now", name));
  }
  return &kept.positions.front();
}

void Keeper::OpenSubscription(Party& party, SubscriptionRequest request, Answer answer) {
  MutexLock lock(mutex_);
  Kept* kept = FindKept(request.buffer);
  if (kept == nullptr) return answer(absl::FailedPreconditionError("this buffer has been destroyed"));
  auto view = TaskPageView::Open(Duplicate(request.page));
  if (!view.ok()) return answer(view.status());
  auto found = PositionFor(*kept, request);
  if (!found.ok()) return answer(found.status());
  Position& position = **found;
  if (position.holder != nullptr && !position.holder->Alive()) LeavePosition(*kept, position);
  if (position.holder != nullptr) {
    return answer(
        absl::FailedPreconditionError(fmt::format("buffer \"{}\" has a subscription{} already; there is one at a time", kept->facts.name,
                                                  position.name.empty() ? "" : fmt::format(" \"{}\"", position.name))));
  }
  const bool fresh = std::exchange(position.fresh, false);
  position.holder = &party;
  position.subscription = request.subscription;
  position.page = std::move(request.page);
  position.sleep = std::move(request.sleep);
  position.slots.assign(view->constants().slots, false);
  position.view = *std::move(view);
  position.told_over = position.delivered = false;
  position.stays = position.gates && (!kept->many() || !position.name.empty());
  position.answer = std::move(answer);
  kept->closed = kept->any_completed = false;
  for (Lane& lane : kept->lanes) {
    if (position.readings.contains(lane.id)) {
      Bind(*kept, position, lane, false, false);
    } else if (fresh) {
      const bool over = request.options.from_now && (lane.owner == nullptr || lane.completed);
      if (!over) Bind(*kept, position, lane, true, request.options.from_now);
    }
  }
  Settle(*kept);
  AnswerIfGranted(position);
}

void Keeper::LaneDone(uint64_t subscription, uint64_t lane, bool completed) {
  MutexLock lock(mutex_);
  auto [kept, position] = FindHeld(subscription);
  if (position == nullptr) return;
  Done(*kept, *position, lane, completed);
  Settle(*kept);
}

void Keeper::Done(Kept& kept, Position& position, uint64_t id, bool completed) {
  auto at = position.readings.find(id);
  if (at == position.readings.end()) return;
  if (position.holder != nullptr) position.slots[at->second.slot] = false;
  position.readings.erase(at);
  position.completed = position.completed || completed;
  for (Lane& lane : kept.lanes) {
    if (lane.id == id && lane.owner != nullptr) lane.owner->RemoveGate(id, position.gate);
  }
}

void Keeper::Delivered(uint64_t subscription) {
  MutexLock lock(mutex_);
  auto [kept, position] = FindHeld(subscription);
  if (position == nullptr) return;
  position->completed = position->told_over = false;
  position->delivered = true;
  const bool last = std::none_of(kept->positions.begin(), kept->positions.end(),
                                 [position = position](const Position& other) { return &other != position && other.gates; });
  if (!position->stays && !last) {  // it takes nothing any more: it must not hold the others up
    while (!position->readings.empty()) Done(*kept, *position, position->readings.begin()->first, false);
  }
  Settle(*kept);
}

void Keeper::CloseSubscription(uint64_t subscription) {
  MutexLock lock(mutex_);
  auto [kept, position] = FindHeld(subscription);
  if (position == nullptr) return;
  LeavePosition(*kept, *position);
  Settle(*kept);
}

// How far it has come, from its page: the same for who leaves and for who is dead.
void Keeper::Harvest(Kept& kept, Position& position) {
  std::map<uint64_t, ReadState> states;
  for (const ReadState& state : position.view->States()) states[state.lane_id] = state;
  std::vector<uint64_t> over;
  for (auto& [id, reading] : position.readings) {
    auto lane = std::find_if(kept.lanes.begin(), kept.lanes.end(), [&id = id](const Lane& l) { return l.id == id; });
    auto state = states.find(id);
    if (lane == kept.lanes.end() || state == states.end()) continue;
    if (state->second.next - lane->ring.constants().base > lane->ring.tail() - lane->ring.constants().base) continue;  // no such message
    reading.next = state->second.next;
    reading.deliveries = state->second.deliveries;
    reading.handed = state->second.handed;
    if (lane->closed() && reading.next == lane->end() + 1) over.push_back(id);
  }
  for (uint64_t id : over) Done(kept, position, id, true);
}

void Keeper::LeavePosition(Kept& kept, Position& position) {
  Harvest(kept, position);
  const bool last =
      std::none_of(kept.positions.begin(), kept.positions.end(), [&](const Position& other) { return &other != &position && other.gates; });
  position.answer = nullptr;
  position.pending = 0;
  position.holder = nullptr;
  position.delivered = false;
  if (!position.stays && !(position.gates && last)) return RemovePosition(kept, position.gate);
  position.page.reset();
  position.sleep.reset();
  position.view.reset();
  for (Lane& lane : kept.lanes) {
    auto at = position.readings.find(lane.id);
    if (at == position.readings.end() || lane.owner == nullptr) continue;
    at->second.granted = true;
    if (kept.facts.lossy()) {
      lane.owner->RemoveGate(lane.id, position.gate);
      continue;
    }
    GateOrder order;
    order.lane = lane.id;
    order.gate = position.gate;
    order.floor = at->second.next;
    lane.owner->SetGate(std::move(order));
  }
}

void Keeper::RemovePosition(Kept& kept, uint64_t gate) {
  for (Lane& lane : kept.lanes) {
    if (lane.owner != nullptr) lane.owner->RemoveGate(lane.id, gate);
  }
  kept.positions.remove_if([&](const Position& position) { return position.gate == gate; });
}

void Keeper::PartyGone(Party& party) {
  MutexLock lock(mutex_);
  for (auto kept = buffers_.begin(); kept != buffers_.end();) {
    const auto now = kept++;
    if (now->party == &party) Destroy(now).IgnoreError();  // it is told to those who are left
  }
  for (Kept& kept : buffers_) {
    std::erase_if(kept.seats, [&](const auto& seat) { return seat.second == &party; });
    for (Lane& lane : kept.lanes) {
      if (lane.owner == &party) LeaveLane(kept, lane);
    }
    std::vector<uint64_t> held;
    for (Position& position : kept.positions) {
      if (position.holder == &party) held.push_back(position.gate);
    }
    for (uint64_t gate : held) {
      for (Position& position : kept.positions) {
        if (position.gate != gate) continue;
        LeavePosition(kept, position);
        break;
      }
    }
    Settle(kept);
  }
}

}  // namespace puma::internal
