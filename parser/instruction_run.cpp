// RUN, and its relatives with a command line.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/flags.hpp"
#include "parser/hint.hpp"
#include "parser/instruction.hpp"

namespace lade::parser {
namespace {

CommandLine parse_command_line(const Request& request) {
  CommandLine command;
  command.heredocs = request.line.heredocs;
  if (auto words = exec_form(request.command.rest)) {
    command.exec_form = true;
    command.words = std::move(*words);
  } else if (!request.command.rest.empty()) {
    command.words.push_back(request.command.rest);
  }
  return command;
}

// "key=value" with the key in lower case.
MountField split_field(const std::string& field) {
  const auto equals = field.find('=');
  MountField result{to_lower(field.substr(0, equals)), std::nullopt};
  if (equals != std::string::npos) result.value = field.substr(equals + 1);
  return result;
}

RunMount parse_mount(const std::string& text) {
  RunMount mount{text, {}, {}};
  for (const auto& field : with_context("--mount", [&] { return csv_fields(text); })) {
    mount.fields.push_back(split_field(field));
    const auto& [key, value] = mount.fields.back();
    if (key != "from" || !value) continue;
    // Which stages a stage needs must be known before anything is built. A lone "$" at the end is
    // no variable.
    const auto dollar = value->find('$');
    if (dollar != std::string::npos && dollar + 1 != value->size()) {
      throw error_with_hint("'from' doesn't support variable expansion in --mount",
                            "define an alias stage instead: FROM ... AS name");
    }
    mount.from = *value;
  }
  return mount;
}

RunDevice parse_device(const std::string& text) {
  RunDevice device;
  for (const auto& field : with_context("--device", [&] { return csv_fields(text); })) {
    const auto [key, value] = split_field(field);
    if (key == "required") {
      const auto required = boolean(value.value_or("true"));
      if (!required) {
        throw Error(fmt::format("invalid value for required: {}", quoted(*value)));
      }
      device.required = *required;
    } else if (key == "name" && value) {
      if (!device.name.empty()) {
        throw Error(fmt::format("device name already set to {}", quoted(device.name)));
      }
      device.name = *value;
    } else if (device.name.empty()) {
      device.name = field;  // "vendor/class=name" has a "=" of its own
    } else if (!value) {
      throw Error(fmt::format("invalid field {} must be a key=value pair", quoted(field)));
    } else {
      throw Error(fmt::format("unexpected key {} in {}", quoted(key), quoted(field)));
    }
  }
  return device;
}

NetworkMode parse_network(const std::string& mode) {
  if (mode == "default") return NetworkMode::standard;
  if (mode == "none") return NetworkMode::none;
  if (mode == "host") return NetworkMode::host;
  throw error_with_nearest(
      fmt::format("invalid network mode {}: it must be default, none or host", quoted(mode)), mode,
      {"default", "none", "host"});
}

SecurityMode parse_security(const std::string& mode) {
  if (mode == "sandbox") return SecurityMode::sandbox;
  if (mode == "insecure") return SecurityMode::insecure;
  throw error_with_nearest(
      fmt::format("security {} is not valid: it must be sandbox or insecure", quoted(mode)), mode,
      {"sandbox", "insecure"});
}

}  // namespace

Run parse_run(const Request& request) {
  std::vector<std::string> mounts;
  std::vector<std::string> devices;
  std::string network = "default";
  std::string security = "sandbox";
  FlagReader()
      .list("mount", mounts)
      .list("device", devices)
      .text("network", network)
      .text("security", security)
      .read(request.command.flags);

  Run run;
  run.command = parse_command_line(request);
  for (const auto& text : mounts) run.mounts.push_back(parse_mount(text));
  run.network = parse_network(network);
  run.security = parse_security(security);
  for (const auto& text : devices) run.devices.push_back(parse_device(text));
  return run;
}

Cmd parse_cmd(const Request& request) {
  FlagReader().read(request.command.flags);
  return {parse_command_line(request)};
}

Entrypoint parse_entrypoint(const Request& request) {
  FlagReader().read(request.command.flags);
  return {parse_command_line(request)};
}

Shell parse_shell(const Request& request) {
  FlagReader().read(request.command.flags);
  const auto command = parse_command_line(request);
  if (command.words.empty()) throw Error("SHELL requires at least one argument");
  if (!command.exec_form) {
    throw error_with_hint("SHELL requires the arguments to be in JSON form",
                          R"(for example SHELL ["/bin/bash", "-c"])");
  }
  return {command.words};
}

}  // namespace lade::parser
