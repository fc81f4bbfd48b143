// The gRPC side of a session. Included by few: gRPC's headers take seconds to compile.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include "base/stream.hpp"
#include "daemon/session.hpp"

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
  Session(SessionHello hello, std::shared_ptr<grpc::Channel> channel, std::function<void()> hang_up)
      : hello_(std::move(hello)), channel_(std::move(channel)), hang_up_(std::move(hang_up)) {}

  const SessionHello& hello() const { return hello_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  bool open() const { return open_; }
  /// The stream has ended.
  void closed() { open_ = false; }
  /// Ends the stream, if it still is there.
  void hang_up();
  /// Before what hang_up() needs goes.
  void forget_stream();

 private:
  SessionHello hello_;
  std::shared_ptr<grpc::Channel> channel_;
  std::mutex mutex_;
  std::function<void()> hang_up_;  // guarded by mutex_
  std::atomic<bool> open_{true};
};

std::shared_ptr<SessionCalls> make_session_calls(std::shared_ptr<Session> session);

/// Calls that can be canceled together.
class CallGroup {
 public:
  void enter(grpc::ClientContext& context);
  void leave(grpc::ClientContext& context);
  void cancel();
  bool canceled() const { return canceled_; }

 private:
  std::mutex mutex_;
  std::set<grpc::ClientContext*> contexts_;
  std::atomic<bool> canceled_{false};
};

/// One call of a group.
class Call {
 public:
  explicit Call(std::shared_ptr<CallGroup> group) : group_(std::move(group)) {
    group_->enter(context);
  }
  ~Call() { group_->leave(context); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Throws the Error for a call that failed.
  void check(const grpc::Status& status, std::string_view what) const;

  grpc::ClientContext context;

 private:
  std::shared_ptr<CallGroup> group_;
};

/// The data of a call's messages, one after the other.
template <class Message, class Stream>
class MessageSource : public ByteSource {
 public:
  /// `open(context)` starts the call on the session's channel; `what` is being done, in errors.
  template <class Open>
  MessageSource(std::shared_ptr<Session> session, std::shared_ptr<CallGroup> group,
                std::string what, const Open& open)
      : session_(std::move(session)),
        call_(std::move(group)),
        what_(std::move(what)),
        stream_(open(call_.context)) {}
  ~MessageSource() override {
    if (ended_) return;
    call_.context.TryCancel();
    stream_->Finish();
  }

  size_t read(char* buffer, size_t size) override {
    while (rest_.empty() && !ended_) {
      if (stream_->Read(&message_)) {
        rest_ = message_.data();
        continue;
      }
      ended_ = true;
      call_.check(stream_->Finish(), what_);
    }
    const size_t count = std::min(size, rest_.size());
    std::copy_n(rest_.data(), count, buffer);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::shared_ptr<Session> session_;
  Call call_;
  std::string what_;
  std::unique_ptr<Stream> stream_;
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
