// A session's connection and the calls on it. The services that a client offers on it are
// BuildKit's session/, their messages those of daemon/proto.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <google/protobuf/message_lite.h>

#include "base/stream.hpp"
#include "daemon/session/http2_connection.hpp"
#include "registry/cache_storage.hpp"

namespace lade {

/// What a client said of its session when it opened it.
struct SessionHello {
  std::string id;
  std::string shared_key;
  std::set<std::string> methods;  ///< lower case
};

/// A client's end of the connection. Lives as long as somebody uses it.
class Session {
 public:
  Session(SessionHello hello, std::shared_ptr<Http2Connection> connection,
          std::function<void()> hang_up)
      : hello_(std::move(hello)),
        connection_(std::move(connection)),
        hang_up_(std::move(hang_up)) {}

  const SessionHello& hello() const { return hello_; }
  Http2Connection& connection() const { return *connection_; }
  bool open() const { return open_; }
  /// The stream has ended.
  void closed() { open_ = false; }
  /// Ends the stream, if it still is there.
  void hang_up();
  /// Before what hang_up() needs goes.
  void forget_stream();

 private:
  SessionHello hello_;
  std::shared_ptr<Http2Connection> connection_;
  std::mutex mutex_;
  std::function<void()> hang_up_;  // guarded by mutex_
  std::atomic<bool> open_{true};
};

/// Calls that can be canceled together.
class CallGroup {
 public:
  void enter(GrpcCall& call);
  void leave(GrpcCall& call);
  void cancel();
  bool canceled() const { return canceled_; }

 private:
  std::mutex mutex_;
  std::set<GrpcCall*> calls_;
  std::atomic<bool> canceled_{false};
};

/// One call of a group, with messages of protobuf's. Canceled when it goes, if it has not ended.
class Call {
 public:
  Call(const Session& session, std::shared_ptr<CallGroup> group, const std::string& method,
       const CallMetadata& metadata = {})
      : group_(std::move(group)), call_(session.connection().call(method, metadata)) {
    group_->enter(*call_);
  }
  ~Call() { group_->leave(*call_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// False once there are no more messages.
  bool read(google::protobuf::MessageLite& message);
  /// False once the call has ended.
  bool write(const google::protobuf::MessageLite& message);
  void writes_done() { call_->writes_done(); }
  void cancel() { call_->cancel(); }
  CallStatus finish() { return call_->finish(); }
  /// Throws the Error for a call that failed.
  void check(const CallStatus& status, std::string_view what) const;

  /// Of a method with one request and one answer.
  CallStatus answer(const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite& response);

 private:
  std::shared_ptr<CallGroup> group_;
  std::unique_ptr<GrpcCall> call_;
  std::string buffer_;
};

/// The data of a call's messages, one after the other.
template <class Message>
class MessageSource : public ByteSource {
 public:
  /// `what` is being done, in errors. The call must have been asked already.
  MessageSource(std::shared_ptr<Session> session, std::unique_ptr<Call> call, std::string what)
      : session_(std::move(session)), call_(std::move(call)), what_(std::move(what)) {}

  size_t read(char* buffer, size_t size) override {
    while (rest_.empty() && !ended_) {
      if (call_->read(message_)) {
        rest_ = message_.data();
        continue;
      }
      ended_ = true;
      call_->check(call_->finish(), what_);
    }
    const size_t count = rest_.copy(buffer, size);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::shared_ptr<Session> session_;
  std::unique_ptr<Call> call_;
  std::string what_;
  Message message_;
  std::string_view rest_;  // of message_
  bool ended_ = false;
};

/// The client's content stores (containerd's content API).
std::shared_ptr<CacheStorage> session_content(std::shared_ptr<Session> session,
                                              std::shared_ptr<CallGroup> group,
                                              const std::string& store,
                                              std::optional<Descriptor> manifest);

}  // namespace lade
