#include "dump.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace lade::parser {
namespace {

class Dumper {
 public:
  template <class... Parts>
  void line(const Parts&... parts) {
    out_ += std::string(2 * depth_, ' ');
    (out_.append(parts), ...);
    out_ += '\n';
  }

  void fact(std::string_view name, std::string_view value) {
    if (!value.empty()) line(name, " ", dump_string(value));
  }

  void facts(std::string_view name, const std::vector<std::string>& values) {
    for (const auto& value : values) line(name, " ", dump_string(value));
  }

  void flag(std::string_view name, bool set) {
    if (set) line(name);
  }

  void flag(std::string_view name, const std::optional<bool>& set) {
    if (set) line(name, " ", *set ? "true" : "false");
  }

  template <class Body>
  void nested(Body&& body) {
    ++depth_;
    body();
    --depth_;
  }

  void origin(const Origin& origin) {
    fact("text", origin.text);
    facts("flag", origin.flags);
    facts("comment", origin.comments);
  }

  void operator()(const Run& run) {
    command_line(run.command);
    for (const auto& mount : run.mounts) {
      line("mount ", dump_string(mount.text));
      nested([&] {
        fact("from", mount.from);
        for (const auto& [key, value] : mount.fields) {
          line("option ", key, value ? " " + dump_string(*value) : "");
        }
      });
    }
    if (run.network != NetworkMode::standard) {
      line("network ", run.network == NetworkMode::host ? "host" : "none");
    }
    flag("insecure", run.security == SecurityMode::insecure);
    for (const auto& device : run.devices) {
      line("device ", dump_string(device.name), device.required ? " required" : "");
    }
  }

  void operator()(const Copy& copy) {
    transfer(copy.transfer);
    fact("from", copy.from);
    flag("parents", copy.parents);
  }

  void operator()(const Add& add) {
    transfer(add.transfer);
    fact("checksum", add.checksum);
    flag("keep-git-dir", add.keep_git_dir);
    flag("unpack", add.unpack);
  }

  void operator()(const Env& env) { key_values(env.variables); }
  void operator()(const Label& label) { key_values(label.labels); }

  void operator()(const Arg& arg) {
    for (const auto& argument : arg.arguments) {
      line("arg ", dump_string(argument.name),
           argument.value ? " = " + dump_string(*argument.value) : "");
      nested([&] { fact("description", argument.description); });
    }
  }

  void operator()(const Workdir& workdir) { line("path ", dump_string(workdir.path)); }
  void operator()(const User& user) { line("user ", dump_string(user.user)); }
  void operator()(const Volume& volume) { facts("path", volume.paths); }
  void operator()(const Expose& expose) { facts("port", expose.ports); }
  void operator()(const Cmd& cmd) { command_line(cmd.command); }
  void operator()(const Entrypoint& entrypoint) { command_line(entrypoint.command); }
  void operator()(const Shell& shell) { facts("word", shell.words); }
  void operator()(const Stopsignal& stop) { line("signal ", dump_string(stop.signal)); }
  void operator()(const Onbuild& onbuild) { line("trigger ", dump_string(onbuild.trigger)); }
  void operator()(const Maintainer& maintainer) { line("name ", dump_string(maintainer.name)); }

  void operator()(const Healthcheck& check) {
    facts("test", check.test);
    duration("interval", check.interval);
    duration("timeout", check.timeout);
    duration("start-period", check.start_period);
    duration("start-interval", check.start_interval);
    if (check.retries != 0) line("retries ", std::to_string(check.retries));
  }

  void command(const Command& command) {
    line(lines(command.origin.range), " ", command.origin.keyword);
    nested([&] {
      origin(command.origin);
      std::visit(*this, command.body);
    });
  }

  void file(const Dockerfile& file, const std::vector<Warning>& warnings) {
    const auto directive = [&](std::string_view name, const std::optional<Directive>& value) {
      if (value) line(lines(value->range), " # ", name, "=", dump_string(value->value));
    };
    directive("syntax", file.directives.syntax);
    directive("check", file.directives.check);
    if (file.directives.escape != '\\') line("escape ", std::string(1, file.directives.escape));
    for (const auto& meta : file.meta_args) {
      line(lines(meta.origin.range), " ", meta.origin.keyword);
      nested([&] {
        origin(meta.origin);
        (*this)(meta.arg);
      });
    }
    for (const auto& stage : file.stages) this->stage(stage);
    for (const auto& warning : warnings) {
      line("warning ", lines(warning.range), " ", warning.rule->name, ": ", warning.message);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  static std::string lines(const SourceRange& range) {
    auto text = std::to_string(range.first_line);
    if (range.last_line != range.first_line) text += "-" + std::to_string(range.last_line);
    return text;
  }

  void stage(const Stage& stage) {
    line(lines(stage.origin.range), " ", stage.origin.keyword);
    nested([&] {
      origin(stage.origin);
      fact("image", stage.from.image);
      fact("platform", stage.from.platform);
      fact("name", stage.from.name);
      fact("description", stage.from.description);
      for (const auto& each : stage.commands) command(each);
    });
  }

  void command_line(const CommandLine& command) {
    if (command.exec_form) {
      line("exec");
      nested([&] { facts("word", command.words); });
    } else {
      facts("shell", command.words);
    }
    for (const auto& heredoc : command.heredocs) {
      line("heredoc ", dump_string(heredoc.name));
      nested([&] {
        if (heredoc.descriptor != 0) line("descriptor ", std::to_string(heredoc.descriptor));
        flag("quoted", !heredoc.expand);
        flag("strip-tabs", heredoc.strip_tabs);
        fact("content", heredoc.content);
      });
    }
  }

  void transfer(const Transfer& transfer) {
    facts("source", transfer.sources);
    for (const auto& inline_file : transfer.inline_files) {
      line("file ", dump_string(inline_file.name), inline_file.expand ? "" : " quoted", " ",
           dump_string(inline_file.content));
    }
    line("destination ", dump_string(transfer.destination));
    fact("chown", transfer.chown);
    fact("chmod", transfer.chmod);
    facts("exclude", transfer.excludes);
    flag("link", transfer.link);
  }

  void key_values(const std::vector<KeyValue>& values) {
    for (const auto& value : values) {
      line(dump_string(value.key), value.old_form ? " " : " = ", dump_string(value.value));
    }
  }

  void duration(std::string_view name, std::chrono::nanoseconds value) {
    if (value.count() != 0) line(name, " ", std::to_string(value.count()), "ns");
  }

  std::string out_;
  size_t depth_ = 0;
};

}  // namespace

std::string dump_string(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 0xf]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string dump(const Dockerfile& file, const std::vector<Warning>& warnings) {
  Dumper dumper;
  dumper.file(file, warnings);
  return dumper.take();
}

std::string dump(const Command& command) {
  Dumper dumper;
  dumper.command(command);
  return dumper.take();
}

}  // namespace lade::parser
