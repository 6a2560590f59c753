#include "worker/runnable/input_port.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/control/failure.h"
#include "worker/runnable/received.h"

namespace puma::internal {
namespace {

constexpr size_t kBatch = 64;

absl::Status ErrorFromText(const std::string& text) {
  if (text.empty()) return absl::OkStatus();
  auto error = control::FailureFromJson(text);
  return error.ok() ? ToStatus(*error) : absl::UnknownError(text);
}

}  // namespace

struct InputPort::Lane {
  std::unique_ptr<LaneReader> reader;  // null: quarantined
  uint32_t page_slot = 0;
  bool left = false;      // not to be read any more
  bool complete = false;  // its completion was seen
  absl::Status error;
  std::optional<RingItem> item;    // what Peek found
  uint64_t missed = 0;             // before item
  std::string copy;                // lossy: item's bytes
  std::vector<std::byte> aligned;  // the same, where a type needs more than a string's alignment
};

struct InputPort::Epoch {
  std::pair<uint32_t, uint32_t> key;  // epoch, part
  std::vector<std::unique_ptr<Lane>> lanes;
};

struct InputPort::Publisher {
  uint64_t uid = 0;
  std::list<Epoch> epochs;  // the oldest first
  bool ended = false;       // the host says: no epoch will follow
  absl::Status end_error;
  bool done = false;
  absl::Status error;
};

InputPort::InputPort(InputDeclaration declaration) : Input(std::move(declaration)) {}
InputPort::~InputPort() = default;

void InputPort::Connect(InputWiring wiring) {
  wiring_ = std::move(wiring);
  connected_ = true;
  for (uint64_t uid : wiring_.publishers) FindOrAdd(uid);
}

InputPort::Publisher& InputPort::FindOrAdd(uint64_t uid) {
  for (auto& p : publishers_) {
    if (p->uid == uid) return *p;
  }
  publishers_.push_back(std::make_unique<Publisher>());
  publishers_.back()->uid = uid;
  return *publishers_.back();
}

absl::Status InputPort::Attach(LaneAttachment lane, PageSlot& slot) {
  Publisher& publisher = FindOrAdd(lane.publisher);
  const std::pair key(lane.epoch, lane.part);
  auto at = std::find_if(publisher.epochs.begin(), publisher.epochs.end(), [&](const Epoch& e) { return e.key >= key; });
  if (at == publisher.epochs.end() || at->key != key) {
    at = publisher.epochs.insert(at, Epoch{key, {}});
    publisher.done = false;  // it has begun anew, before the input was complete
    publisher.ended = false;
  }
  for (auto& known : at->lanes) {
    if (known->reader == nullptr || known->reader->ring().constants().lane_id != lane.lane) continue;
    return known->page_slot == lane.page_slot ? absl::OkStatus() : MoveTo(*known, std::move(lane), slot);  // else told twice
  }
  at->lanes.push_back(std::make_unique<Lane>());
  const uint64_t tag = slot.tag.load(std::memory_order_relaxed);
  if (tag != 0 && tag != lane.lane) {  // the host gives a drained lane's slot to another
    StorePositions();                  // now: later, the drained lane's reader would store its position as the other one's
    slot.tag.store(0, std::memory_order_release);
  }
  // Where it stood is no longer kept for it (it was lossy then, or its gate was away): it goes on at what it was granted.
  const uint64_t stood = slot.next.load(std::memory_order_relaxed);
  if (tag == lane.lane && static_cast<int64_t>(lane.start - stood) > 0) {
    at->lanes.back()->missed = lane.start - stood;
    slot.tag.store(0, std::memory_order_release);
  }
  at->lanes.back()->page_slot = lane.page_slot;
  const uint64_t id = lane.lane, start = lane.start;
  auto reader = Open(std::move(lane), slot, start);
  if (!reader.ok()) {
    if (absl::IsDataLoss(reader.status())) bad_lanes_.push_back({id, std::string(reader.status().message())});
    return reader.status();
  }
  at->lanes.back()->reader = *std::move(reader);
  batch_ = std::clamp<size_t>(at->lanes.back()->reader->ring().constants().capacity / 8, 1, std::min(batch_, kBatch));
  return absl::OkStatus();
}

// A lane that calls itself by another's id or epoch is as bad as one that can't be read.
absl::StatusOr<std::unique_ptr<LaneReader>> InputPort::Open(LaneAttachment lane, PageSlot& slot, uint64_t start) {
  auto reader = LaneReader::Open(std::move(lane.fd), slot, start);
  if (!reader.ok()) return reader.status();
  const RingConstants& ring = (*reader)->ring().constants();
  if (ring.lane_id == lane.lane && ring.epoch == lane.epoch) return reader;
  slot.tag.store(0, std::memory_order_release);
  return absl::DataLossError(
      absl::StrCat("it is lane ", ring.lane_id, " of epoch ", ring.epoch, " in the place of lane ", lane.lane, " of epoch ", lane.epoch));
}

void InputPort::LeaveLane(uint64_t lane) {
  for (auto& publisher : publishers_) {
    for (Epoch& epoch : publisher->epochs) {
      for (auto& known : epoch.lanes) {
        if (known->reader == nullptr || known->reader->ring().constants().lane_id != lane) continue;
        known->left = true;  // its message may be in hand: not unmapped under the handler
      }
    }
  }
}

// A host that was killed between giving a slot and seeing it taken is followed by one that gives another: the last word counts, since
// the publisher gates on it.
absl::Status InputPort::MoveTo(Lane& known, LaneAttachment lane, PageSlot& slot) {
  const uint64_t next = known.reader->next();
  known.item.reset();
  const uint32_t page_slot = lane.page_slot;
  auto reader = Open(std::move(lane), slot, next);
  if (!reader.ok()) return reader.status();
  known.reader = *std::move(reader);
  known.page_slot = page_slot;
  return absl::OkStatus();
}

void InputPort::EndPublisher(uint64_t uid, const absl::Status& error) {
  Publisher& publisher = FindOrAdd(uid);
  publisher.ended = true;
  publisher.end_error = error;
}

// Looks for the lane's next message. True: there is one.
bool InputPort::Peek(Lane& lane, const Logger& log) {
  if (lane.left) lane.reader = nullptr;
  if (lane.reader == nullptr || lane.complete) return false;
  absl::StatusOr<std::optional<RingItem>> found;
  do {
    std::optional<RingReader::Gap> gap;
    found = wiring_.lossy ? lane.reader->PeekCopy(lane.copy, gap) : lane.reader->Peek();
    if (gap.has_value()) lane.missed += gap->last - gap->first + 1;
    if (!found.ok() || !found->has_value() || !wiring_.latest || (*found)->kind == MessageKind::kComplete) break;
    if (lane.reader->ring().tail() - lane.reader->next() <= 1) break;
    lane.reader->Finish();  // latest: only the newest counts
    ++lane.missed;
    lane.reader->CountMissed(1);
  } while (true);
  if (!found.ok()) {
    log.error("input \"{}\": lane {} is left: {}", name(), lane.reader->ring().constants().lane_id, std::string(found.status().message()));
    bad_lanes_.push_back({lane.reader->ring().constants().lane_id, std::string(found.status().message())});
    lane.reader = nullptr;
    return false;
  }
  lane.item = *found;
  if (!lane.item.has_value()) return false;
  if (lane.item->kind != MessageKind::kComplete) return true;
  lane.complete = true;
  lane.error = ErrorFromText(lane.reader->ring().ErrorText());
  return false;
}

// Of several lanes of one publisher, the message that was published first. What an empty lane holds now was published after what the
// others showed, unless it came meanwhile: hence the second look.
InputPort::Lane* InputPort::Earliest(Epoch& epoch, const Logger& log) {
  if (epoch.lanes.size() == 1) return Peek(*epoch.lanes[0], log) ? epoch.lanes[0].get() : nullptr;
  Lane* best = nullptr;
  for (int look = 0; look < 2; ++look) {
    best = nullptr;
    for (auto& lane : epoch.lanes) {
      if (!Peek(*lane, log) || lane->item->annotation == nullptr) continue;
      if (best == nullptr || lane->item->annotation->published_ns < best->item->annotation->published_ns) best = lane.get();
    }
    if (best == nullptr) break;
  }
  return best;
}

// Called when the front epoch has shown nothing in a look that was made after all that is known of the publisher was learned. True: it has
// been left or is done with; look again.
bool InputPort::Over(Publisher& publisher) {
  Epoch& front = publisher.epochs.front();
  const bool newer = publisher.epochs.size() > 1;
  if (newer) {
    for (auto& lane : front.lanes) {
      if (lane->reader != nullptr) lane->reader->StorePosition();
    }
    publisher.epochs.pop_front();
    return true;
  }
  size_t complete = 0;
  for (auto& lane : front.lanes) {
    complete += lane->complete;
    if (lane->complete && publisher.error.ok()) publisher.error = lane->error;
  }
  if (complete >= wiring_.lanes_each) {
    publisher.done = true;
  } else if (publisher.ended) {
    publisher.done = true;
    if (publisher.error.ok()) publisher.error = publisher.end_error;
  }
  return false;
}

InputPort::Lane* InputPort::NextOf(Publisher& publisher, const Logger& log) {
  while (!publisher.done) {
    if (publisher.epochs.empty()) {
      publisher.done = publisher.ended;
      if (publisher.done) publisher.error = publisher.end_error;
      return nullptr;
    }
    if (Lane* lane = Earliest(publisher.epochs.front(), log)) return lane;
    if (!Over(publisher)) return nullptr;
  }
  return nullptr;
}

const Received* InputPort::Next(const Logger& log) {
  if (complete_) return nullptr;
  for (size_t i = 0; i < publishers_.size(); ++i) {
    Publisher& publisher = *publishers_[turn_ % publishers_.size()];
    Lane* lane = NextOf(publisher, log);
    if (lane == nullptr && publisher.done && !publisher.error.ok()) break;  // one error completes the input at once
    if (lane == nullptr) {
      ++turn_;
      continue;
    }
    in_hand_ = lane;
    Describe(publisher, *lane);
    return &received_;
  }
  CheckComplete();
  return nullptr;
}

void InputPort::Describe(const Publisher& publisher, Lane& lane) {
  const RingItem& item = *lane.item;
  received_.bytes = item.bytes;
  received_.undecodable = false;
  if (wiring_.lossy && reinterpret_cast<uintptr_t>(item.bytes.data()) % declaration().type.alignment != 0) {
    lane.aligned.resize(item.bytes.size() + declaration().type.alignment);
    const size_t off = declaration().type.alignment - reinterpret_cast<uintptr_t>(lane.aligned.data()) % declaration().type.alignment;
    std::memcpy(lane.aligned.data() + off, item.bytes.data(), item.bytes.size());
    received_.bytes = {lane.aligned.data() + off, item.bytes.size()};
  }
  Message& m = received_.message;
  m.sequence = item.number;
  m.lane = lane.reader->ring().constants().lane_id;
  m.epoch = lane.reader->ring().constants().epoch;
  m.publisher = publisher.uid;
  m.delivery = lane.reader->Deliveries();
  m.redelivered = m.delivery > 1;
  if (m.redelivered) lane.reader->CountRedelivery();
  m.missed = lane.missed;
  m.port = name();
  Annotate(item.annotation, m);
}

void InputPort::CheckComplete() {
  bool all = !publishers_.empty();
  for (auto& publisher : publishers_) {
    all = all && publisher->done;
    if (publisher->done && !publisher->error.ok() && error_.ok()) error_ = publisher->error;
  }
  complete_ = all || !error_.ok();
}

void InputPort::NextPublisher() { ++turn_; }
void InputPort::Begin() { in_hand_->reader->Begin(); }

void InputPort::Finish() {
  in_hand_->reader->Finish();
  in_hand_->missed = 0;
}

void InputPort::StorePositions() {
  for (auto& publisher : publishers_) {
    for (Epoch& epoch : publisher->epochs) {
      for (auto& lane : epoch.lanes) {
        if (lane->reader != nullptr) lane->reader->StorePosition();
      }
    }
  }
}

void InputPort::CollectReaders(std::vector<LaneReader*>& out) {
  for (auto& publisher : publishers_) {
    for (Epoch& epoch : publisher->epochs) {
      for (auto& lane : epoch.lanes) {
        if (lane->reader != nullptr && !lane->complete && !lane->left) out.push_back(lane->reader.get());
      }
    }
  }
}

}  // namespace puma::internal
