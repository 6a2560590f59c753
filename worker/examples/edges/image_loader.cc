#include "image_loader.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "rate.h"

namespace edges {

ImageLoader::ImageLoader(puma::Setup& setup)
    : directory_(setup.RequiredParam<std::string>("directory", "where the photographs are: .jpg, .jpeg and .png files")),
      rate_(setup.Param<std::string>("rate", "0", "frames a second, as \"30Hz\"; \"0\": as fast as they are taken")),
      total_(setup.Param<uint64_t>("frames", 0, "how many frames to publish, over and over through the photographs; 0: until stopped")),
      frames_(setup.Output<Image>("frames")) {}

absl::Status ImageLoader::OnStart() {
  PUMA_ASSIGN_OR_RETURN(period_, ParseRate(rate_));
  PUMA_ASSIGN_OR_RETURN(paths_, ListPhotos(directory_));
  log().info("{} photographs in {}", paths_.size(), directory_);
  return absl::OkStatus();
}

absl::Status ImageLoader::Execute() {
  absl::Time due = absl::Now();
  while ((total_ == 0 || number_ < total_) && WaitUntil(due)) {
    PUMA_ASSIGN_OR_RETURN(std::unique_ptr<Photo> photo, NextPhoto());
    absl::Status published = PublishFrame(*photo);
    if (absl::IsCancelled(published)) return absl::OkStatus();
    if (absl::IsDataLoss(published)) {
      log().warn("{}; left out", std::string(published.message()));
      paths_.erase(paths_.begin() + static_cast<std::ptrdiff_t>(next_path_ - 1));
      --next_path_;
      continue;
    }
    PUMA_RETURN_IF_ERROR(published);
    ++number_;
    due = std::max(due + period_, absl::Now() - period_);  // who is late does not hurry to catch up
  }
  return absl::OkStatus();
}

bool ImageLoader::WaitUntil(absl::Time when) {
  while (PollCommands()) {
    const absl::Duration left = when - absl::Now();
    if (left <= absl::ZeroDuration()) return true;
    absl::SleepFor(std::min(left, absl::Milliseconds(50)));
  }
  return false;
}

absl::StatusOr<std::unique_ptr<Photo>> ImageLoader::NextPhoto() {
  while (!paths_.empty()) {
    if (next_path_ >= paths_.size()) next_path_ = 0;
    absl::StatusOr<std::unique_ptr<Photo>> photo = Photo::Open(paths_[next_path_]);
    if (photo.ok()) {
      ++next_path_;
      return photo;
    }
    log().warn("{}; left out", std::string(photo.status().message()));
    paths_.erase(paths_.begin() + static_cast<std::ptrdiff_t>(next_path_));
  }
  return puma::NotFound(absl::StrCat("directory ", directory_, ": none of its photographs can be read"));
}

absl::Status ImageLoader::PublishFrame(Photo& photo) {
  for (;;) {
    absl::StatusOr<puma::Loan<Image>> loan = frames_.Loan(photo.bytes(), absl::Milliseconds(200));
    if (loan.ok()) return DecodeInto(*loan, photo);
    if (!PollCommands()) return absl::CancelledError("stopped");
    if (!absl::IsDeadlineExceeded(loan.status())) return loan.status();  // else the buffer is full: the detectors set the pace
  }
}

absl::Status ImageLoader::DecodeInto(puma::Loan<Image>& loan, Photo& photo) {
  *loan.operator->() = {.number = number_,
                        .total = total_,
                        .copied_bytes = shared_.Copied(loan.bytes()),
                        .width = photo.width(),
                        .height = photo.height(),
                        .stride = photo.stride(),
                        .channels = 3};
  PUMA_RETURN_IF_ERROR(photo.DecodeInto(loan.bytes()));
  return loan.Publish();
}

}  // namespace edges
