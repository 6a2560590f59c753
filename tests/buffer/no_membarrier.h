#ifndef PUMA_TESTS_BUFFER_NO_MEMBARRIER_H_
#define PUMA_TESTS_BUFFER_NO_MEMBARRIER_H_
// A process that may not use membarriers.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <iterator>

namespace puma::testing {

// From here on this process, as a seccomp profile would have it, gets EPERM for each membarrier. False: there is no seccomp here.
inline bool ForbidMembarrier() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_NO_MEMBARRIER_H_
