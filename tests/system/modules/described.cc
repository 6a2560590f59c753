// Messages that say what is in them. A module of its own: to link protobuf takes longer than all else that a start does.
#include <puma/describe.h>
#include <puma/module.h>
#include <puma/protobuf.h>

#include "google/protobuf/duration.pb.h"

namespace {

struct Pose {
  double x, y;
  char frame[8];
};
BOOST_DESCRIBE_STRUCT(Pose, (), (x, y, frame))

// Publishes messages that say their fields, one of each when it is told to.
class Poser : public puma::Runnable {
 public:
  explicit Poser(puma::Setup& setup)
      : poses_(setup.Output<Pose>("poses")), durations_(setup.Output<google::protobuf::Duration>("durations")) {
    setup.Command("pose", &Poser::Tell, {"x"}, "publishes one of each");
  }

 private:
  absl::Status Tell(double x) {
    PUMA_RETURN_IF_ERROR(poses_.PublishValue({x, 2, "map"}));
    google::protobuf::Duration duration;
    duration.set_seconds(static_cast<int64_t>(x));
    return durations_.PublishValue(duration);
  }
  puma::Output<Pose> poses_;
  puma::Output<google::protobuf::Duration> durations_;
};

}  // namespace

PUMA_MODULE(described) { module.Add<Poser>("Poser"); }
