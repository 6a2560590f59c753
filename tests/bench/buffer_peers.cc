// Other ways to carry bytes from one process to another, each with its own copy in and copy out, as its users have them. Both ends block.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <functional>
#include <string>

#include "tests/bench/buffer_cases.h"
#include "worker/platform/unique_fd.h"
#ifdef PUMA_BENCH_ZMQ
#include <zmq.h>
#endif

namespace puma::bench {
namespace {

// One direction. Send and Receive move exactly `bytes`; each is used by one thread.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void Send(const std::byte* data, size_t bytes) = 0;
  virtual void Receive(std::byte* data, size_t bytes) = 0;
};
using MakePeer = std::function<std::unique_ptr<Peer>(size_t most)>;

void Must(bool good, const char* what) {
  if (good) return;
  perror(what);
  abort();
}
std::string UniqueName() {
  static int count = 0;
  return "puma-bench-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

// A pipe, or a pair of Unix sockets that keep each message apart; what is larger than one call takes goes in pieces.
class Descriptors : public Peer {
 public:
  Descriptors(bool socket, size_t piece) : piece_(piece) {
    int ends[2];
    Must((socket ? ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) : ::pipe2(ends, O_CLOEXEC)) == 0, "a pair of descriptors");
    in_ = UniqueFd(ends[0]);
    out_ = UniqueFd(ends[1]);
    if (!socket) ::fcntl(out_.get(), F_SETPIPE_SZ, 1 << 20);
  }
  void Send(const std::byte* data, size_t bytes) override {
    for (size_t done = 0; done < bytes;) {
      const ssize_t count = ::write(out_.get(), data + done, std::min(bytes - done, piece_));
      Must(count > 0, "write");
      done += static_cast<size_t>(count);
    }
  }
  void Receive(std::byte* data, size_t bytes) override {
    for (size_t done = 0; done < bytes;) {
      const ssize_t count = ::read(in_.get(), data + done, bytes - done);
      Must(count > 0, "read");
      done += static_cast<size_t>(count);
    }
  }

 private:
  const size_t piece_;
  UniqueFd in_, out_;
};

class BoostMessageQueue : public Peer {
 public:
  explicit BoostMessageQueue(size_t most)
      : most_(most), name_(UniqueName()), queue_(boost::interprocess::create_only, name_.c_str(), most > 4096 ? 4 : kSmallDepth, most) {}
  ~BoostMessageQueue() override { boost::interprocess::message_queue::remove(name_.c_str()); }
  void Send(const std::byte* data, size_t bytes) override { queue_.send(data, bytes, 0); }
  void Receive(std::byte* data, size_t) override {
    size_t received;
    unsigned priority;
    queue_.receive(data, most_, received, priority);
  }

 private:
  const size_t most_;
  const std::string name_;
  boost::interprocess::message_queue queue_;
};

class PosixQueue : public Peer {
 public:
  explicit PosixQueue(size_t most) : most_(most) {
    const std::string name = "/" + UniqueName();
    mq_attr attributes{};
    attributes.mq_maxmsg = 10;  // what a user may have without asking root
    attributes.mq_msgsize = static_cast<long>(most);
    queue_ = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
    Must(queue_ != -1, "mq_open");
    ::mq_unlink(name.c_str());
  }
  ~PosixQueue() override { ::mq_close(queue_); }
  void Send(const std::byte* data, size_t bytes) override {
    Must(::mq_send(queue_, reinterpret_cast<const char*>(data), bytes, 0) == 0, "mq_send");
  }
  void Receive(std::byte* data, size_t) override {
    Must(::mq_receive(queue_, reinterpret_cast<char*>(data), most_, nullptr) >= 0, "mq_receive");
  }

 private:
  const size_t most_;
  mqd_t queue_;
};

#ifdef PUMA_BENCH_ZMQ
class Zmq : public Peer {
 public:
  explicit Zmq(const char* transport) : context_(zmq_ctx_new()), in_(zmq_socket(context_, ZMQ_PAIR)), out_(zmq_socket(context_, ZMQ_PAIR)) {
    const std::string address = transport + UniqueName();
    Must(zmq_bind(in_, address.c_str()) == 0 && zmq_connect(out_, address.c_str()) == 0, "zmq");
  }
  ~Zmq() override {
    const int at_once = 0;
    zmq_setsockopt(out_, ZMQ_LINGER, &at_once, sizeof at_once);
    zmq_close(out_);
    zmq_close(in_);
    zmq_ctx_term(context_);
  }
  void Send(const std::byte* data, size_t bytes) override { Must(zmq_send(out_, data, bytes, 0) >= 0, "zmq_send"); }
  void Receive(std::byte* data, size_t bytes) override { Must(zmq_recv(in_, data, bytes, 0) >= 0, "zmq_recv"); }

 private:
  void* const context_;
  void* const in_;
  void* const out_;
};
#endif

double MessagesPerSecond(const MakePeer& make, size_t bytes, uint64_t messages) {
  const std::unique_ptr<Peer> peer = make(bytes);
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    const auto data = Filled(std::max<size_t>(bytes, 4096));
    for (uint64_t i = 0; i < messages; ++i) {
      peer->Receive(data.get(), bytes);
      sink += Sum(data.get(), bytes);
    }
  });
  const auto data = Filled(std::max<size_t>(bytes, 4096));
  for (uint64_t i = 0; i < messages; ++i) {
    Fill64(data.get(), i);
    peer->Send(data.get(), bytes);
  }
  consumer.join();
  return static_cast<double>(messages) / (NowSeconds() - start);
}

// In microseconds.
double PeerRoundTrip(const MakePeer& make) {
  constexpr uint64_t kRounds = 3'000;
  const std::unique_ptr<Peer> there = make(sizeof(Message64)), back = make(sizeof(Message64));
  std::jthread echo([&] {
    PinTo(1);
    Message64 message;
    auto* const bytes = reinterpret_cast<std::byte*>(&message);
    for (uint64_t i = 0; i < kRounds; ++i) {
      there->Receive(bytes, sizeof message);
      back->Send(bytes, sizeof message);
    }
  });
  Message64 message;
  auto* const bytes = reinterpret_cast<std::byte*>(&message);
  const double start = NowSeconds();
  for (uint64_t i = 0; i < kRounds; ++i) {
    Fill64(&message, i);
    there->Send(bytes, sizeof message);
    back->Receive(bytes, sizeof message);
  }
  return (NowSeconds() - start) / kRounds * 1e6;
}

void AddPeer(Bench& bench, const std::string& name, const MakePeer& make, bool large = true) {
  bench.Add(name + ", 64 B", "M/s", "64 B, fixed stride", [=] { return MessagesPerSecond(make, sizeof(Message64), 200'000) / 1e6; });
  bench.Add(name + ", there and back, two cores", "us", "futex, two cores", [=] { return PeerRoundTrip(make); });
  if (!large) return;
  bench.Add(name + ", 1 MiB", "GB/s", "1 MiB written and read in place",
            [=] { return MessagesPerSecond(make, kMiB, 500) * static_cast<double>(kMiB) / 1e9; });
}

}  // namespace

void AddPeers(Bench& bench) {
  AddPeer(bench, "boost message_queue", [](size_t most) { return std::make_unique<BoostMessageQueue>(most); });
#ifdef PUMA_BENCH_ZMQ
  AddPeer(bench, "ZeroMQ inproc", [](size_t) { return std::make_unique<Zmq>("inproc://"); });
  AddPeer(bench, "ZeroMQ ipc", [](size_t) { return std::make_unique<Zmq>("ipc://@"); });
#endif
  AddPeer(bench, "pipe", [](size_t) { return std::make_unique<Descriptors>(false, kMiB); });
  AddPeer(bench, "Unix socket (SEQPACKET)", [](size_t) { return std::make_unique<Descriptors>(true, 64 << 10); });
  AddPeer(
      bench, "POSIX mq", [](size_t most) { return std::make_unique<PosixQueue>(most); }, false);  // 8 KiB a message at most
}

}  // namespace puma::bench
