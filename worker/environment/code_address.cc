#include "worker/environment/code_address.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <cstring>
#include <functional>
#include <string_view>

namespace puma::internal {
namespace {

using Object = dl_phdr_info;

void ForEachObject(const std::function<bool(const Object&)>& found) {
  dl_iterate_phdr([](dl_phdr_info* info, size_t, void* f) -> int { return (*static_cast<decltype(&found)>(f))(*info) ? 1 : 0; },
                  const_cast<void*>(static_cast<const void*>(&found)));
}

std::string NameOf(const Object& object) { return object.dlpi_name != nullptr ? object.dlpi_name : ""; }

bool HasCode(const Object& object, uint64_t offset) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && offset >= part.p_vaddr && offset - part.p_vaddr < part.p_memsz) return true;
  }
  return false;
}

constexpr size_t Padded(size_t size) { return (size + 3) / 4 * 4; }

std::string BuildIdOf(const Object& object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    if (part.p_type != PT_NOTE) continue;
    std::string_view notes(reinterpret_cast<const char*>(object.dlpi_addr + part.p_vaddr), part.p_memsz);
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
      ElfW(Nhdr) note;
      std::memcpy(&note, notes.data(), sizeof note);
      const size_t size = sizeof note + Padded(note.n_namesz) + Padded(note.n_descsz);
      if (size > notes.size()) break;
      if (note.n_type == NT_GNU_BUILD_ID && notes.substr(sizeof note, 3) == "GNU")
        return std::string(notes.substr(sizeof note + Padded(note.n_namesz), note.n_descsz));
      notes.remove_prefix(size);
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<CodeAddress> AddressOf(const void* code) {
  CodeAddress address;
  bool known = false;
  ForEachObject([&](const Object& object) {
    const uint64_t offset = reinterpret_cast<uintptr_t>(code) - object.dlpi_addr;
    if (!HasCode(object, offset)) return false;
    address = {NameOf(object), BuildIdOf(object), offset};
    return known = true;
  });
  if (!known) return absl::InvalidArgumentError("a function that lies in no object file");
  return address;
}

namespace {
absl::StatusOr<void*> CodeOfLoaded(const CodeAddress& address) {
  absl::StatusOr<void*> code = absl::NotFoundError(fmt::format("the function's object file \"{}\" is not loaded here", address.object));
  ForEachObject([&](const Object& object) {
    if (NameOf(object) != address.object) return false;
    if (BuildIdOf(object) != address.build_id || !HasCode(object, address.offset)) {
      code = absl::FailedPreconditionError(fmt::format("\"{}\" is another version here", address.object));
    } else {
      code = reinterpret_cast<void*>(object.dlpi_addr + address.offset);
    }
    return true;
  });
  return code;
}
}  // namespace

absl::StatusOr<void*> CodeAt(const CodeAddress& address) {
  auto code = CodeOfLoaded(address);
  if (!absl::IsNotFound(code.status()) || !address.object.starts_with('/')) return code;
  // A module that its program has loaded. It stays: what it makes may outlive any scope.
  if (::dlopen(address.object.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) == nullptr)
    return absl::NotFoundError(fmt::format("\"{}\" can't be loaded: {}", address.object, ::dlerror()));
  return CodeOfLoaded(address);
}

}  // namespace puma::internal
