#include "solver/executor/child/protocol.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sys.hpp"

namespace lade::sandbox {
namespace {

// The longest message is an exit report with its error text, which the child cuts to a page.
constexpr size_t max_packet = 16 << 10;
constexpr size_t max_fds = 5;

void write_mount(WireWriter& out, const Mount& mount) {
  out.number(mount.kind)
      .text(mount.target)
      .text(mount.source)
      .texts(mount.lowers)
      .text(mount.lower_base)
      .text(mount.upper)
      .text(mount.work)
      .text(mount.subpath)
      .number(mount.read_only)
      .number(mount.devices)
      .number(mount.userxattr)
      .number(mount.size_bytes)
      .number(mount.mode);
}

std::vector<std::string> read_texts(WireReader& in) {
  std::vector<std::string> out(in.count());
  for (auto& text : out) text = in.text();
  return out;
}

Mount read_mount(WireReader& in) {
  Mount mount;
  mount.kind = in.number<MountKind>();
  mount.target = in.text();
  mount.source = in.text();
  mount.lowers = read_texts(in);
  mount.lower_base = in.text();
  mount.upper = in.text();
  mount.work = in.text();
  mount.subpath = in.text();
  mount.read_only = in.number<bool>();
  mount.devices = in.number<bool>();
  mount.userxattr = in.number<bool>();
  mount.size_bytes = in.number();
  mount.mode = in.number<uint32_t>();
  return mount;
}

void write_file(WireWriter& out, const EphemeralFile& file) {
  out.text(file.target).text(file.content).number(file.mode).number(file.uid).number(file.gid);
  out.number(file.read_only).number(file.before_mounts);
}

EphemeralFile read_file(WireReader& in) {
  EphemeralFile file;
  file.target = in.text();
  file.content = in.text();
  file.mode = in.number<uint32_t>();
  file.uid = in.number<uint32_t>();
  file.gid = in.number<uint32_t>();
  file.read_only = in.number<bool>();
  file.before_mounts = in.number<bool>();
  return file;
}

template <class Element, class Read>
std::vector<Element> read_list(WireReader& in, Read read) {
  const size_t count = in.count();
  std::vector<Element> out;
  for (size_t i = 0; i < count; ++i) out.push_back(read(in));
  return out;
}

void write_limits(WireWriter& out, const CgroupLimits& limits) {
  out.number(limits.memory).number(limits.memory_swap).number(limits.cpu_shares);
  out.number(limits.cpu_period).number(limits.cpu_quota);
  out.text(limits.cpuset_cpus).text(limits.cpuset_mems).number(limits.pids);
}

CgroupLimits read_limits(WireReader& in) {
  CgroupLimits limits;
  limits.memory = in.number<int64_t>();
  limits.memory_swap = in.number<int64_t>();
  limits.cpu_shares = in.number();
  limits.cpu_period = in.number();
  limits.cpu_quota = in.number<int64_t>();
  limits.cpuset_cpus = in.text();
  limits.cpuset_mems = in.text();
  limits.pids = in.number<int64_t>();
  return limits;
}

void write_spec(WireWriter& out, const ExecSpec& spec) {
  out.texts(spec.args).texts(spec.env).text(spec.cwd).number(spec.uid).number(spec.gid);
  out.list(spec.groups, [](WireWriter& to, uint32_t group) { to.number(group); });
  out.text(spec.hostname).number(spec.network).number(spec.security);
  write_mount(out, spec.rootfs);
  out.list(spec.mounts, write_mount);
  out.list(spec.files, write_file);
  out.list(spec.limits, [](WireWriter& to, const ResourceLimit& limit) {
    to.number(limit.resource).number(limit.soft).number(limit.hard);
  });
  out.number(spec.shm_bytes).number(spec.cgroup_parent.has_value());
  out.text(spec.cgroup_parent.value_or(""));
  write_limits(out, spec.cgroup_limits);
  out.number(spec.init);
  out.number(spec.join.has_value()).number(spec.join.value_or(0));
}

ExecSpec read_spec(WireReader& in) {
  ExecSpec spec;
  spec.args = read_texts(in);
  spec.env = read_texts(in);
  spec.cwd = in.text();
  spec.uid = in.number<uint32_t>();
  spec.gid = in.number<uint32_t>();
  spec.groups = read_list<uint32_t>(in, [](WireReader& from) { return from.number<uint32_t>(); });
  spec.hostname = in.text();
  spec.network = in.number<NetworkMode>();
  spec.security = in.number<SecurityMode>();
  spec.rootfs = read_mount(in);
  spec.mounts = read_list<Mount>(in, read_mount);
  spec.files = read_list<EphemeralFile>(in, read_file);
  spec.limits = read_list<ResourceLimit>(in, [](WireReader& from) {
    ResourceLimit limit{};
    limit.resource = from.number<int>();
    limit.soft = from.number();
    limit.hard = from.number();
    return limit;
  });
  spec.shm_bytes = in.number();
  const bool has_cgroup = in.number<bool>();
  const auto cgroup = in.text();
  if (has_cgroup) spec.cgroup_parent = cgroup;
  spec.cgroup_limits = read_limits(in);
  spec.init = in.number<bool>();
  const bool joins = in.number<bool>();
  const auto joined = in.number();
  if (joins) spec.join = joined;
  return spec;
}

}  // namespace

std::string encode(const StartRequest& request) {
  WireWriter out;
  write_spec(out, request.spec);
  out.text(request.network_helper);
  return out.number(request.spec.input_fd >= 0).number(request.spec.terminal_fd >= 0).take();
}

StartRequest decode_start_request(std::string_view bytes) {
  WireReader in(bytes);
  StartRequest request;
  request.spec = read_spec(in);
  request.network_helper = in.text();
  request.has_input = in.number<bool>();
  request.has_terminal = in.number<bool>();
  return request;
}

std::string encode(const ExecutorOptions& options) {
  WireWriter out;
  out.number(options.devices);
  const auto put = [](WireWriter& to, const AddressRange& range) {
    to.number(range.first).number(range.last);
  };
  out.list(options.network.deny, put).list(options.network.grant, put);
  return out.number(options.pids).take();
}

ExecutorOptions decode_executor_options(std::string_view bytes) {
  WireReader in(bytes);
  ExecutorOptions options;
  options.devices = in.number<DeviceDefence>();
  const auto range = [](WireReader& from) {
    const auto first = from.number<uint32_t>();
    return AddressRange{first, from.number<uint32_t>()};
  };
  options.network.deny = read_list<AddressRange>(in, range);
  options.network.grant = read_list<AddressRange>(in, range);
  options.pids = in.number<int64_t>();
  return options;
}

std::string encode(const ExitReport& report) {
  const ExecResult& result = report.result;
  WireWriter out;
  out.number(report.id).number(result.exit_code).number(result.signal).text(result.setup_error);
  out.number(result.out_of_memory).number(result.pids_limit_met);
  out.number(result.user_us).number(result.system_us);
  return out.number(result.max_rss_bytes).take();
}

ExitReport decode_exit_report(std::string_view bytes) {
  WireReader in(bytes);
  ExitReport report;
  report.id = in.number();
  report.result.exit_code = in.number<int>();
  report.result.signal = in.number<int>();
  report.result.setup_error = in.text();
  report.result.out_of_memory = in.number<bool>();
  report.result.pids_limit_met = in.number<int64_t>();
  report.result.user_us = in.number();
  report.result.system_us = in.number();
  report.result.max_rss_bytes = in.number();
  return report;
}

std::string encode(const SetupFailure& failure) {
  return WireWriter().number(failure.exit_code).text(failure.message).take();
}

SetupFailure decode_setup_failure(std::string_view bytes) {
  WireReader in(bytes);
  SetupFailure failure;
  failure.exit_code = in.number<int>();
  failure.message = in.text();
  return failure;
}

UniqueFd memory_file(std::string_view bytes) {
  UniqueFd fd(::memfd_create("lade-step", MFD_CLOEXEC));
  if (!fd) throw_errno("could not make a memory file");
  sys::write_all(fd.get(), bytes);
  return fd;
}

std::string read_memory_file(int fd) {
  std::string bytes(static_cast<size_t>(sys::fstat(fd).st_size), '\0');
  sys::pread_exact(fd, bytes.data(), bytes.size(), 0);
  return bytes;
}

Channel::Pair Channel::create_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw_errno("could not make the zygote's socket");
  }
  return {Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1]))};
}

void Channel::hang_up() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
}

void Channel::send(std::string_view bytes, std::initializer_list<int> fds) {
  iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(max_fds * sizeof(int))> control{};
  std::array<int, max_fds> sent{};
  size_t count = 0;
  for (const int fd : fds) {
    if (fd >= 0) sent.at(count++) = fd;
  }
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), sent.data(), count * sizeof(int));
  }
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) throw_errno("could not reach the zygote");
  }
}

bool Channel::try_send(std::string_view bytes) {
  while (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EAGAIN) return false;
    if (errno != EINTR) break;
  }
  return true;
}

std::optional<Channel::Packet> Channel::receive() {
  Packet packet;
  packet.bytes.resize(max_packet);
  iovec data{.iov_base = packet.bytes.data(), .iov_len = packet.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(max_fds * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return std::nullopt;
  // No message of ours is empty, so an empty one is the end; so is a reset by a killed peer.
  if (size <= 0) {
    state_ = State::closed;
    return std::nullopt;
  }
  packet.bytes.resize(static_cast<size_t>(size));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  return packet;
}

}  // namespace lade::sandbox
