// A keeper's buffers as a whole: made, settled after each change, discarded, destroyed.
#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/environment/kept.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

const Logger& BufferLog() {
  static const Logger logger("buffer");
  return logger;
}

absl::Status Check(std::string_view name, const BufferType& type, const BufferOptions& options) {
  if (name.empty()) return absl::InvalidArgumentError("a buffer needs a name");
  if (options.capacity < 1 || options.capacity > uint64_t{1} << 20)
    return absl::InvalidArgumentError(fmt::format("buffer \"{}\": a capacity of {}; it is 1 to 2^20", name, options.capacity));
  if (options.discard_after <= absl::ZeroDuration())
    return absl::InvalidArgumentError(fmt::format("buffer \"{}\": discard_after is above zero", name));
  const bool lossy = options.on_full == OnFull::kDropOldest || options.on_full == OnFull::kLatest;
  const bool many = options.subscriptions == Subscriptions::kMany;
  if (!options.named.empty() && !many)
    return absl::InvalidArgumentError(fmt::format("buffer \"{}\": named subscriptions are for a buffer with many", name));
  if (type.destroy != nullptr && (lossy || many)) {
    return absl::InvalidArgumentError(fmt::format(
        "buffer \"{}\": {} has no puma::Codec, so each value goes to one subscription: no many, no dropping of old ones", name, type.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BufferFacts> Keeper::CreateBuffer(const Party* party, uint64_t maker, std::string_view name, const BufferType& type,
                                                 const BufferOptions& options) {
  if (absl::Status status = Check(name, type, options); !status.ok()) return status;
  MutexLock lock(mutex_);
  if (FindNamed(maker, name) != nullptr)
    return absl::AlreadyExistsError(fmt::format("buffer \"{}\" exists already in this environment", name));
  buffers_.emplace_back();
  Kept& kept = buffers_.back();
  kept.maker = maker;
  kept.party = party;
  kept.facts.id = ++last_id_;
  kept.facts.name = name;
  kept.facts.type = type.name;
  kept.facts.capacity = options.capacity;
  kept.facts.payload_bytes = options.capacity_bytes;
  kept.facts.on_full = options.on_full == OnFull::kAsSpec ? OnFull::kError : options.on_full;
  kept.type = type;
  kept.options = options;
  for (const std::string& each : options.named) AddPosition(kept, each, true);
  if (options.named.empty()) AddPosition(kept, "", true);
  for (Position& position : kept.positions) position.fresh = false;
  return kept.facts;
}

Keeper::Kept* Keeper::FindNamed(uint64_t maker, std::string_view name) {
  for (Kept& kept : buffers_) {
    if (kept.maker == maker && kept.facts.name == name) return &kept;
  }
  return nullptr;
}

absl::StatusOr<BufferFacts> Keeper::FindBuffer(uint64_t maker, std::string_view name) {
  MutexLock lock(mutex_);
  for (const uint64_t of : {maker, uint64_t{0}}) {
    if (const Kept* kept = FindNamed(of, name)) return kept->facts;
  }
  std::string known;
  for (const Kept& kept : buffers_) {
    if (kept.maker != 0 && kept.maker != maker) continue;
    known += (known.empty() ? "\"" : ", \"") + kept.facts.name + "\"";
  }
  return absl::NotFoundError(
      fmt::format("buffer \"{}\" does not exist in this environment; there are: {}", name, known.empty() ? "none" : known));
}

Keeper::Kept* Keeper::FindKept(uint64_t buffer) {
  for (Kept& kept : buffers_) {
    if (kept.facts.id == buffer) return &kept;
  }
  return nullptr;
}

std::pair<Keeper::Kept*, Keeper::Lane*> Keeper::FindLane(uint64_t id) {
  for (Kept& kept : buffers_) {
    for (Lane& lane : kept.lanes) {
      if (lane.id == id) return {&kept, &lane};
    }
  }
  return {};
}

std::pair<Keeper::Kept*, Keeper::Position*> Keeper::FindHeld(uint64_t subscription) {
  for (Kept& kept : buffers_) {
    for (Position& position : kept.positions) {
      if (position.holder != nullptr && position.subscription == subscription) return {&kept, &position};
    }
  }
  return {};
}

bool Keeper::InUse(const Kept& kept) {
  return !kept.seats.empty() || std::any_of(kept.lanes.begin(), kept.lanes.end(), [](const Lane& lane) { return lane.owner != nullptr; }) ||
         std::any_of(kept.positions.begin(), kept.positions.end(), [](const Position& position) { return position.holder != nullptr; });
}

// Lanes that nobody writes and everybody has read.
void Keeper::DropRead(Kept& kept) {
  for (auto lane = kept.lanes.begin(); lane != kept.lanes.end();) {
    const uint64_t id = lane->id;
    if (lane->owner == nullptr) {  // who is away and has read all of it, will find nothing more
      for (Position& position : kept.positions) {
        auto at = position.readings.find(id);
        if (at != position.readings.end() && !position.reads() && at->second.next == lane->ring.tail()) position.readings.erase(at);
      }
    }
    const bool wanted =
        std::any_of(kept.positions.begin(), kept.positions.end(), [&](const Position& position) { return position.readings.contains(id); });
    if (wanted || lane->owner != nullptr) {
      ++lane;
      continue;
    }
    DropLane(kept, *lane);
    lane = kept.lanes.erase(lane);
  }
}

// What a thread-only lane still holds has no other owner.
void Keeper::DropLane(Kept& kept, Lane& lane) {
  if (kept.type.destroy == nullptr) return;
  uint64_t next = lane.ring.tail();
  for (Position& position : kept.positions) {
    if (auto at = position.readings.find(lane.id); at != position.readings.end() && position.holder == nullptr) next = at->second.next;
  }
  for (; next != lane.end(); ++next) {
    auto item = lane.ring.Look(next);
    if (!item.ok() || !item->has_value() || (*item)->kind != MessageKind::kValue) return;
    void* object;
    std::memcpy(&object, (*item)->bytes.data(), sizeof object);
    kept.type.destroy(object);
  }
}

void Keeper::Settle(Kept& kept) {
  DropRead(kept);
  bool counting = !kept.seats.empty();
  for (const Lane& lane : kept.lanes) counting = counting || (lane.owner != nullptr && !lane.completed);
  if (!counting && kept.any_completed) kept.closed = true;
  for (Position& position : kept.positions) {
    if (!position.reads()) continue;
    bool over = position.completed;
    for (const Lane& lane : kept.lanes) over = over || (lane.completed && position.readings.contains(lane.id));
    over = over && !counting;
    if (over != std::exchange(position.told_over, over)) position.holder->RoundOver(position.subscription, over);
  }
  if (InUse(kept) || kept.lanes.empty()) {
    kept.discard_at = 0;
  } else if (kept.discard_at == 0) {
    kept.discard_at = MonotonicNanos() + std::min(absl::ToInt64Nanoseconds(kept.options.discard_after), int64_t{1} << 60);
    wake_at_(kept.discard_at);
  }
}

void Keeper::Tick(int64_t now_ns) {
  MutexLock lock(mutex_);
  for (Kept& kept : buffers_) {
    if (kept.discard_at == 0) continue;
    if (kept.discard_at <= now_ns) {
      Discard(kept);
    } else {
      wake_at_(kept.discard_at);
    }
  }
}

void Keeper::Discard(Kept& kept) {
  uint64_t most = 0;
  for (Position& position : kept.positions) {
    uint64_t left = 0;
    for (auto& [id, reading] : position.readings) {
      for (const Lane& lane : kept.lanes) {
        if (lane.id != id) continue;
        // A lossy ring may have overwritten some that nobody has read.
        const uint64_t first = std::max(reading.next - lane.ring.constants().base, lane.ring.released() - lane.ring.constants().base);
        left += lane.end() - lane.ring.constants().base - first;
        position.completed = position.completed || (lane.completed && lane.error.ok());
        if (!lane.error.ok() && kept.untold.ok()) kept.untold = lane.error;
      }
    }
    most = std::max(most, left);
  }
  for (Lane& lane : kept.lanes) DropLane(kept, lane);
  for (Position& position : kept.positions) position.readings.clear();
  kept.lanes.clear();
  kept.discard_at = 0;
  const std::string& name = kept.facts.name;
  if (most != 0 && kept.options.warn_on_discard) {
    BufferLog().warn("buffer \"{}\": {} items discarded; nobody has published or subscribed for {}", name, most,
                     absl::FormatDuration(kept.options.discard_after));
  }
  if (!kept.untold.ok())
    BufferLog().error("buffer \"{}\": the error that completed it was discarded: {}", name, std::string(kept.untold.message()));
}

absl::Status Keeper::DestroyBuffer(uint64_t buffer) {
  MutexLock lock(mutex_);
  auto kept = std::find_if(buffers_.begin(), buffers_.end(), [&](const Kept& k) { return k.facts.id == buffer; });
  return kept == buffers_.end() ? absl::OkStatus() : Destroy(kept);
}

absl::Status Keeper::Destroy(std::list<Kept>::iterator kept) {
  const std::string& name = kept->facts.name;
  if (InUse(*kept)) {
    if (kept->options.warn_on_discard) BufferLog().warn("buffer \"{}\" is destroyed while it is in use", name);
    const absl::Status why = absl::FailedPreconditionError(fmt::format("buffer \"{}\" has been destroyed", name));
    for (Lane& lane : kept->lanes) {
      if (lane.owner != nullptr) lane.owner->Invalidate(lane.id, why);
    }
    for (Position& position : kept->positions) {
      if (position.holder != nullptr) position.holder->Invalidate(position.subscription, why);
      if (position.answer) std::exchange(position.answer, nullptr)(why);
    }
  }
  for (Lane& lane : kept->lanes) {
    const bool held = std::any_of(kept->positions.begin(), kept->positions.end(),
                                  [&](const Position& p) { return p.holder != nullptr && p.readings.contains(lane.id); });
    if (!held) DropLane(*kept, lane);  // else its reader does, which is in the midst of it
  }
  absl::Status untold = kept->untold;
  buffers_.erase(kept);
  return untold;
}

}  // namespace puma::internal
