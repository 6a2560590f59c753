#include "client/cli/advice.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

using Verdict = Advice::Verdict;

constexpr uint64_t kEnoughMessages = 100;
constexpr absl::Duration kEnoughTime = absl::Seconds(5);
constexpr uint64_t kSmallest = 16, kLargest = 1 << 20;  // suggested capacities
constexpr double kBusy = 0.05;                          // of the time blocked, or of the messages dropped: more than bursts

absl::Duration ToDuration(const google::protobuf::Duration& d) { return absl::Seconds(d.seconds()) + absl::Nanoseconds(d.nanos()); }

// One buffer under the eye.
class Case {
 public:
  explicit Case(const v1::Buffer& buffer) : buffer_(buffer), totals_(buffer.totals()) {
    capacity_ = totals_.capacity() != 0 ? totals_.capacity() : buffer.spec().capacity_items();
    const double observed = absl::ToDoubleSeconds(ToDuration(totals_.observed()));
    if (observed > 0) blocked_ = std::min(1.0, absl::ToDoubleSeconds(ToDuration(totals_.blocked())) / observed);
    const double offered = static_cast<double>(totals_.published()) + static_cast<double>(totals_.dropped());
    if (offered > 0) dropped_ = static_cast<double>(totals_.dropped()) / offered;
    advice_.buffer = buffer.name();
    advice_.messages = totals_.published();
    advice_.observed = ToDuration(totals_.observed());
  }

  Advice Judge() {
    if (advice_.messages < kEnoughMessages || advice_.observed < kEnoughTime || capacity_ == 0) {
      return Say(Verdict::kUnknown,
                 absl::StrCat("too little has been seen; it takes ", kEnoughMessages, " messages and ", absl::FormatDuration(kEnoughTime)));
    }
    if (buffer_.subscriptions().empty()) return Say(Verdict::kKeep, "nobody reads it");
    const v1::OnFull on_full = buffer_.spec().on_full();
    if (on_full == v1::ON_FULL_LATEST) return Say(Verdict::kKeep, "only the newest message counts");
    if (on_full == v1::ON_FULL_DROP_OLDEST) return Lossy();
    return totals_.blocked_times() != 0 || totals_.dropped() != 0 ? Full() : Roomy();
  }

 private:
  Advice Say(Verdict verdict, std::string why) {
    advice_.verdict = verdict;
    advice_.why = std::move(why);
    return advice_;
  }

  uint64_t Doubled(uint64_t used) const { return std::clamp(std::bit_ceil(2 * std::min(used, kLargest)), kSmallest, kLargest); }
  std::string Used() const { return absl::StrCat(totals_.high_water(), " of ", capacity_); }

  // The subscription that is furthest behind, now; else the one that once was.
  const v1::SubscriptionStatus& Slowest() const {
    return *std::max_element(buffer_.subscriptions().begin(), buffer_.subscriptions().end(), [](const auto& a, const auto& b) {
      return std::pair(a.waiting(), a.high_water()) < std::pair(b.waiting(), b.high_water());
    });
  }
  bool BehindNow() const {
    const auto& lags = Slowest().lags();
    return std::any_of(lags.begin(), lags.end(), [&](const v1::Lag& lag) { return lag.waiting() >= capacity_ / 4 * 3; });
  }
  std::string HowOften() const {
    if (totals_.dropped() == 0) return absl::StrCat("publishers wait for room ", BlockedShare(totals_), " of the time");
    return absl::StrCat(totals_.dropped(), " messages found no room");
  }

  // There was no room, at least once.
  Advice Full() {
    const double share = std::max(blocked_, dropped_);
    if (totals_.high_water() < capacity_ / 4 * 3 && buffer_.spec().capacity().bytes() != 0) {
      advice_.bytes = std::bit_ceil(2 * std::min(buffer_.spec().capacity().bytes(), uint64_t{1} << 40));
      return Say(Verdict::kLarger, absl::StrCat(HowOften(), " with at most ", Used(), " messages in a lane: its bytes are short"));
    }
    if (share > 0.5 || (share > kBusy && BehindNow())) {
      return Say(Verdict::kSlowReader,
                 absl::StrCat(HowOften(), " for ", ShortName(Slowest().subscriber()), ", which is too slow: more capacity won't help"));
    }
    advice_.items = Doubled(std::max(totals_.high_water(), capacity_));
    if (advice_.items <= capacity_) return Say(Verdict::kKeep, absl::StrCat(HowOften(), "; it can't be larger"));
    return Say(Verdict::kLarger, absl::StrCat(HowOften(), ": a larger one would absorb the bursts"));
  }

  Advice Roomy() {
    const uint64_t enough = Doubled(totals_.high_water());
    if (enough <= capacity_ / 2) {
      advice_.items = enough;
      return Say(Verdict::kSmaller, absl::StrCat("never more than ", Used(), " used"));
    }
    return Say(Verdict::kKeep, absl::StrCat("at most ", Used(), " used, and never full"));
  }

  Advice Lossy() {
    const double read = static_cast<double>(totals_.published()) * buffer_.subscriptions_size();
    const double missed = read <= 0 ? 0 : static_cast<double>(totals_.missed()) / read;
    if (totals_.missed() == 0) return Roomy();
    const std::string how = absl::StrCat(totals_.missed(), " messages were missed");
    if (missed > 0.5) {
      return Say(Verdict::kSlowReader,
                 absl::StrCat(how, "; ", ShortName(Slowest().subscriber()), " is too slow: more capacity won't help"));
    }
    advice_.items = Doubled(capacity_);
    if (advice_.items <= capacity_) return Say(Verdict::kKeep, absl::StrCat(how, "; it can't be larger"));
    return Say(Verdict::kLarger, absl::StrCat(how, ": a larger one would bridge longer pauses of its readers"));
  }

  const v1::Buffer& buffer_;
  const v1::BufferTotals& totals_;
  uint64_t capacity_ = 0;
  double blocked_ = 0, dropped_ = 0;  // shares
  Advice advice_;
};

}  // namespace

Advice AdviseOn(const v1::Buffer& buffer) { return Case(buffer).Judge(); }

std::string VerdictName(Advice::Verdict verdict) {
  switch (verdict) {
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kKeep:
      return "keep";
    case Verdict::kSmaller:
      return "smaller";
    case Verdict::kLarger:
      return "larger";
    case Verdict::kSlowReader:
      return "slow_reader";
  }
  return "";
}

}  // namespace puma::client
