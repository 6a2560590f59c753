#ifndef PUMA_SERVER_SUPERVISOR_BUFFER_VIEW_H_
#define PUMA_SERVER_SUPERVISOR_BUFFER_VIEW_H_
// What is seen of a buffer, from the headers of its lanes and the pages of its readers. Every number there is a stranger's: bounded, shown,
// never relied on.
#include <string>

#include "server/supervisor/model.h"

namespace puma::server {

v1::Buffer ViewBuffer(const Model& model, const PipelineRec& pipeline, const std::string& name);

// The look at a lane that is made once a second: rates, bytes held. True: something has changed.
bool SampleLane(LaneRec& lane, double seconds);
// The next value of a rate: half of the old one is kept, which is steadier to read; what is below a message a minute is nothing.
double SmoothRate(double old, uint64_t messages, double seconds);
// The lane is about to be forgotten: what was counted in it stays with its pipeline, and why it was quarantined.
void Retire(Model& model, const LaneRec& lane);

// Messages of a lane below the number `until`; those of all of it.
uint64_t MessagesBelow(const LaneRec& lane, uint64_t until);
uint64_t MessagesIn(const LaneRec& lane);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_BUFFER_VIEW_H_
