#include "daemon/session/session_connection.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace lade {

void Session::hang_up() {
  const std::lock_guard lock(mutex_);
  if (hang_up_) hang_up_();
}

void Session::forget_stream() {
  const std::lock_guard lock(mutex_);
  hang_up_ = nullptr;
}

void CallGroup::enter(GrpcCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.insert(&call);
  if (canceled_) call.cancel();
}

void CallGroup::leave(GrpcCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(&call);
}

void CallGroup::cancel() {
  const std::lock_guard lock(mutex_);
  canceled_ = true;
  for (auto* call : calls_) call->cancel();
}

bool Call::read(google::protobuf::MessageLite& message) {
  if (!call_->read(buffer_)) return false;
  if (message.ParseFromString(buffer_)) return true;
  call_->cancel();
  throw Error("the client sent a message that cannot be read", ErrorKind::corrupt);
}

bool Call::write(const google::protobuf::MessageLite& message) {
  return call_->write(message.SerializeAsString());
}

CallStatus Call::answer(const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite& response) {
  write(request);
  writes_done();
  read(response);
  return finish();
}

void Call::check(const CallStatus& status, std::string_view what) const {
  if (status.ok()) return;
  if (group_->canceled()) throw Error("context canceled", ErrorKind::canceled);
  ErrorKind kind = ErrorKind::general;
  if (status.code == CallCode::not_found) kind = ErrorKind::not_found;
  if (status.code == CallCode::unavailable || status.code == CallCode::canceled) {
    kind = ErrorKind::unavailable;
  }
  throw Error(fmt::format("{}: {}", what, status.message), kind);
}

}  // namespace lade
