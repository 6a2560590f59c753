#include "worker/runnable/door.h"

#include <cxxabi.h>
#include <puma/codec.h>
#include <puma/status.h>

#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include "worker/runnable/stack.h"

namespace puma::internal {
namespace {

void AddTypes(const std::type_info* type, std::vector<std::string>& out) {
  std::string name = Demangle(type->name());
  for (const std::string& known : out) {
    if (known == name) return;
  }
  out.push_back(std::move(name));
  if (auto* single = dynamic_cast<const abi::__si_class_type_info*>(type)) {
    AddTypes(single->__base_type, out);
  } else if (auto* multiple = dynamic_cast<const abi::__vmi_class_type_info*>(type)) {
    for (unsigned i = 0; i < multiple->__base_count; ++i) AddTypes(multiple->__base_info[i].__base_type, out);
  }
}

absl::StatusCode CodeOf(const std::exception& e) {
  if (dynamic_cast<const std::bad_alloc*>(&e) != nullptr) return absl::StatusCode::kResourceExhausted;
  if (dynamic_cast<const std::invalid_argument*>(&e) != nullptr) return absl::StatusCode::kInvalidArgument;
  if (dynamic_cast<const std::domain_error*>(&e) != nullptr) return absl::StatusCode::kInvalidArgument;
  if (dynamic_cast<const std::out_of_range*>(&e) != nullptr) return absl::StatusCode::kOutOfRange;
  if (dynamic_cast<const std::range_error*>(&e) != nullptr) return absl::StatusCode::kOutOfRange;
  return absl::StatusCode::kUnknown;
}

// What `pointer` points at: the thrown object. (An exception_ptr is one pointer to it, in libstdc++ and by the common ABI.)
const void* ObjectOf(const std::exception_ptr& pointer) {
  const void* object = nullptr;
  static_assert(sizeof(pointer) == sizeof(object));
  std::memcpy(&object, static_cast<const void*>(&pointer), sizeof(object));
  return object;
}

Error ErrorOfException(const std::exception_ptr& pointer, int depth);

void AddCause(const std::nested_exception* nested, int depth, Error& error) {
  if (nested == nullptr || nested->nested_ptr() == nullptr || depth > 30) return;
  error.causes.push_back(ErrorOfException(nested->nested_ptr(), depth + 1));
}

void Describe(const std::exception& e, int depth, Error& error) {
  if (auto* own = dynamic_cast<const Exception*>(&e)) {
    error = ErrorOf(own->status());
  } else {
    error.code = CodeOf(e);
    error.message = e.what();
  }
  AddCause(dynamic_cast<const std::nested_exception*>(&e), depth, error);
}

Error ErrorOfException(const std::exception_ptr& pointer, int depth) {
  Error error;
  const std::type_info* type = pointer.__cxa_exception_type();
  try {
    std::rethrow_exception(pointer);
  } catch (const std::exception& e) {
    Describe(e, depth, error);
  } catch (const absl::Status& status) {
    error = ErrorOf(status);
  } catch (const std::string& text) {
    error.message = text;
  } catch (const char* text) {
    error.message = text;
  } catch (const std::nested_exception& nested) {
    error.message = "an exception that is no std::exception";
    AddCause(&nested, depth, error);
  } catch (...) {
    error.message = "an exception that is no std::exception";
  }
  if (error.code == absl::StatusCode::kOk) error.code = absl::StatusCode::kUnknown;
  if (type != nullptr) {
    std::vector<std::string> types;
    AddTypes(type, types);
    error.types = std::move(types);
  }
  for (Frame& frame : Symbolise(StackOfThrow(ObjectOf(pointer)).view())) error.stack.push_back(std::move(frame));
  return error;
}

}  // namespace

absl::Status StatusOfException() {
  std::exception_ptr pointer = std::current_exception();
  if (pointer == nullptr) return absl::InternalError("puma: a foreign exception");
  return ToStatus(ErrorOfException(pointer, 0));
}

}  // namespace puma::internal
