// Names of functions that are not exported (modules are built with hidden visibility): from the symbol table of the file.
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <puma/codec.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "worker/platform/unique_fd.h"
#include "worker/runnable/stack.h"

namespace puma::internal {
namespace {

// A file, mapped for reading. Every access is bounded: the file may be anything.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info;
    if (!fd.valid() || fstat(fd.get(), &info) != 0 || info.st_size <= 0) return;
    void* memory = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (memory == MAP_FAILED) return;
    data_ = static_cast<const char*>(memory);
    size_ = info.st_size;
  }
  ~MappedFile() {
    if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  template <class T>
  bool Read(uint64_t offset, T& out) const {
    if (offset > size_ || size_ - offset < sizeof(T)) return false;
    std::memcpy(&out, data_ + offset, sizeof(T));
    return true;
  }
  std::string Text(uint64_t offset) const {
    if (offset >= size_) return "";
    return std::string(data_ + offset, strnlen(data_ + offset, size_ - offset));
  }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

std::string FindInTable(const MappedFile& file, const ElfW(Shdr) & table, const ElfW(Shdr) & names, uint64_t offset) {
  for (uint64_t at = 0; at + sizeof(ElfW(Sym)) <= table.sh_size; at += sizeof(ElfW(Sym))) {
    ElfW(Sym) symbol;
    if (!file.Read(table.sh_offset + at, symbol)) return "";
    if ((symbol.st_info & 0xf) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (offset < symbol.st_value || offset - symbol.st_value >= symbol.st_size) continue;
    return Demangle(file.Text(names.sh_offset + symbol.st_name).c_str());
  }
  return "";
}

}  // namespace

std::string FunctionInFile(const std::string& path, uint64_t offset) {
  MappedFile file(path);
  ElfW(Ehdr) header;
  if (!file.Read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof(ElfW(Shdr))) return "";
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) section, names;
    if (!file.Read(header.e_shoff + i * sizeof(section), section)) return "";
    if (section.sh_type != SHT_SYMTAB) continue;
    if (!file.Read(header.e_shoff + uint64_t{section.sh_link} * sizeof(names), names)) return "";
    return FindInTable(file, section, names, offset);
  }
  return "";
}

namespace {

// Takes out each ", NAME<...> " with all that its brackets hold.
void TakeOutArgument(std::string& text, std::string_view name) {
  const std::string begin = ", " + std::string(name) + "<";
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    size_t end = at + begin.size();
    for (int depth = 1; end < text.size() && depth > 0; ++end) depth += text[end] == '<' ? 1 : text[end] == '>' ? -1 : 0;
    if (end < text.size() && text[end] == ' ') ++end;
    text.erase(at, end - at);
  }
}

// As people write it: without default arguments of the standard library's templates.
std::string AsWritten(std::string text) {
  for (const char* name : {"std::allocator", "std::default_delete", "std::char_traits", "std::less"}) TakeOutArgument(text, name);
  for (const char* name : {"std::__cxx11::basic_string<char>", "std::basic_string<char>"}) {
    const std::string_view long_name = name;
    for (size_t at = text.find(long_name); at != std::string::npos; at = text.find(long_name, at))
      text.replace(at, long_name.size(), "std::string");
  }
  return text;
}

}  // namespace

std::string Demangle(const char* mangled) {
  int error = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(mangled, nullptr, nullptr, &error), std::free);
  return error == 0 && text ? AsWritten(text.get()) : std::string(mangled);
}

absl::Status WrongSize(const std::type_info& type, size_t got, size_t wanted) {
  return absl::DataLossError("puma: a message of " + std::to_string(got) + " bytes is no " + Demangle(type.name()) + " (" +
                             std::to_string(wanted) + " bytes wanted)");
}

}  // namespace puma::internal
