#ifndef PUMA_WORKER_BUFFER_STOP_POINT_H_
#define PUMA_WORKER_BUFFER_STOP_POINT_H_
// Places between two steps of the protocol where a test may stop, yield or die. Nothing, unless built with PUMA_STOP_POINTS. Private to the
// room.
#ifdef PUMA_STOP_POINTS
namespace puma::internal {
void StopPoint(const char* name);  // the test's
}
#define PUMA_STOP_POINT(name) ::puma::internal::StopPoint(name)
#else
#define PUMA_STOP_POINT(name) static_cast<void>(0)
#endif
#endif  // PUMA_WORKER_BUFFER_STOP_POINT_H_
