#include "daemon/container/container_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {
namespace {

constexpr size_t kOutputPiece = 32u << 10;
constexpr int kProcessLookAround = 50;         // milliseconds
constexpr size_t kMostAfterTheEnd = 1u << 20;  // of a terminal, which others may go on writing to

void make_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void set_size(int terminal, uint16_t rows, uint16_t columns) {
  const winsize size{rows, columns, 0, 0};
  ::ioctl(terminal, TIOCSWINSZ, &size);
}

}  // namespace

ContainerProcess::ContainerProcess(const std::set<uint32_t>& fds, bool terminal, Listener listener)
    : fds_(fds),
      listener_(std::move(listener)),
      null_(sys::open("/dev/null", O_WRONLY)),
      over_(::eventfd(0, EFD_CLOEXEC)) {
  if (!over_) throw_errno("could not make an eventfd");
  if (terminal) {
    auto pair = sandbox::Channel::create_pair();
    terminal_channel_ = std::move(pair.lade);
    child_terminal_ = std::move(pair.zygote);
    expects_terminal_ = true;
  } else {
    const auto make = [&](uint32_t fd, UniqueFd& ours, UniqueFd& childs) {
      if (!fds_.contains(fd)) return;
      sys::Pipe pipe = sys::pipe();
      ours = std::move(fd == 0 ? pipe.write : pipe.read);
      childs = std::move(fd == 0 ? pipe.read : pipe.write);
      make_nonblocking(ours.get());
    };
    UniqueFd input;
    make(0, input, child_input_);
    make(1, output_, child_output_);
    make(2, error_, child_error_);
    if (input) input_ = std::make_shared<UniqueFd>(std::move(input));
  }
  thread_ = std::thread([this] { run(); });
}

ContainerProcess::~ContainerProcess() {
  thread_.join();
}

void ContainerProcess::lend(ExecSpec& spec) const {
  spec.input_fd = child_input_.get();
  spec.output_fd = child_output_ ? child_output_.get() : null_.get();
  spec.error_fd = child_error_ ? child_error_.get() : null_.get();
  spec.terminal_fd = child_terminal_.fd();
}

void ContainerProcess::started() {
  for (UniqueFd* fd : {&child_input_, &child_output_, &child_error_}) fd->reset();
  child_terminal_.close();
}

void ContainerProcess::end(ProcessEnd end) {
  started();
  {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    end_ = std::move(end);
  }
  changed_.notify_all();
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(over_.get(), &one, sizeof one);
}

std::shared_ptr<UniqueFd> ContainerProcess::input() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !expects_terminal_ || end_; });
  return input_;
}

void ContainerProcess::write_input(std::string_view bytes, const std::function<bool()>& stop) {
  const auto fd = input();
  while (fd && !bytes.empty() && !stop()) {
    pollfd fds[2] = {{over_.get(), POLLIN, 0}, {fd->get(), POLLOUT, 0}};
    if (::poll(fds, 2, kProcessLookAround) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    if (fds[1].revents == 0) continue;
    const ssize_t count = ::write(fd->get(), bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return close_input();  // the process reads no more
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

/// A terminal stays open: its end would be the session's.
void ContainerProcess::close_input() {
  const std::lock_guard lock(mutex_);
  input_.reset();
}

void ContainerProcess::resize(uint16_t rows, uint16_t columns) {
  const std::lock_guard lock(mutex_);
  rows_ = rows;
  columns_ = columns;
  if (terminal_) set_size(terminal_->get(), rows, columns);
}

void ContainerProcess::take_terminal() {
  auto packet = terminal_channel_.receive();
  if (!packet && terminal_channel_.state() == sandbox::Channel::State::open) return;
  terminal_channel_.close();
  {
    const std::lock_guard lock(mutex_);
    expects_terminal_ = false;
    // Closed without a word: it never came to be, which the end tells.
    if (packet && packet->fds.size() == 1) {
      make_nonblocking(packet->fds[0].get());
      output_ = UniqueFd(::fcntl(packet->fds[0].get(), F_DUPFD_CLOEXEC, 3));
      terminal_ = std::make_shared<UniqueFd>(std::move(packet->fds[0]));
      if (fds_.contains(0)) input_ = terminal_;
      if (rows_ > 0 || columns_ > 0) set_size(terminal_->get(), rows_, columns_);
    }
  }
  changed_.notify_all();
}

ContainerProcess::Read ContainerProcess::pass_on(int fd, uint32_t as) {
  std::array<char, kOutputPiece> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return Read::nothing;
  if (size <= 0) return Read::end;  // a terminal that nobody has open any more says EIO
  if (fds_.contains(as)) listener_.output(as, {buffer.data(), static_cast<size_t>(size)});
  return Read::something;
}

void ContainerProcess::run() {
  for (;;) {
    pollfd fds[4] = {{over_.get(), POLLIN, 0},
                     {output_.get(), POLLIN, 0},
                     {error_.get(), POLLIN, 0},
                     {terminal_channel_.fd(), POLLIN, 0}};
    if (::poll(fds, 4, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    if (fds[3].revents != 0) take_terminal();
    if (fds[1].revents != 0 && pass_on(output_.get(), 1) == Read::end) output_.reset();
    if (fds[2].revents != 0 && pass_on(error_.get(), 2) == Read::end) error_.reset();
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return end_.has_value(); });
  }
  drain();
  listener_.ended(*end_);
}

/// The process is gone: what there is now is its last output. Others may hold the pipe and go on.
void ContainerProcess::drain() {
  if (terminal_channel_.fd() >= 0) take_terminal();
  for (const auto& [fd, as] : {std::pair(output_.get(), 1u), std::pair(error_.get(), 2u)}) {
    int left = 0;
    if (fd < 0) continue;
    if (::ioctl(fd, FIONREAD, &left) != 0 || terminal_) left = kMostAfterTheEnd;
    for (; left > 0; left -= static_cast<int>(kOutputPiece)) {
      if (pass_on(fd, as) != Read::something) break;
    }
  }
  const std::lock_guard lock(mutex_);
  input_.reset();
  terminal_.reset();
  expects_terminal_ = false;
}

}  // namespace lade
