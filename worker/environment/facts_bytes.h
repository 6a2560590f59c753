#ifndef PUMA_WORKER_ENVIRONMENT_FACTS_BYTES_H_
#define PUMA_WORKER_ENVIRONMENT_FACTS_BYTES_H_
// What every user of a buffer knows, as bytes for another process of the program.
#include "worker/environment/orders.h"
#include "worker/platform/bytes.h"

namespace puma::internal {

inline void PackFacts(const BufferFacts& facts, ByteWriter& to) {
  to.Put(facts.id).PutText(facts.name).PutText(facts.type).Put(facts.capacity).Put(facts.payload_bytes).Put(facts.on_full);
}
inline BufferFacts UnpackFacts(ByteReader& from) {
  BufferFacts facts;
  facts.id = from.Get<uint64_t>();
  facts.name = from.GetText();
  facts.type = from.GetText();
  facts.capacity = from.Get<uint64_t>();
  facts.payload_bytes = from.Get<uint64_t>();
  facts.on_full = from.Get<OnFull>();
  return facts;
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_FACTS_BYTES_H_
