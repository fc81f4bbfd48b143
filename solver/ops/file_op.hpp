// Runs a FileOp: COPY, ADD, WORKDIR.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "solver/graph/definition.hpp"
#include "solver/ops/borrowed_files.hpp"
#include "solver/ops/tree.hpp"

namespace lade {

/// The trees of a FileOp's inputs beyond the first, in order: trees[0] is input 1.
using InputTrees = std::vector<std::shared_ptr<const Tree>>;

/// Digest of all that the op's copies select from the trees that are given (others may be null),
/// per action.
Digest file_op_selection(const FileOp& op, const InputTrees& trees);

/// Whether `block` (512 bytes or more) begins with a tar's header, going by its checksum.
bool is_tar_header(std::string_view block);

/// Gets each file that is copied and that revealing_xattr() has something to say of.
using OnRevealing = std::function<void(const Tree&, const Found&, const std::string& xattr)>;

/// Applies the actions on top of `base` as one new layer. CPU- and disk-bound. Throws Error.
/// `earlier` is what the same op made once, of other inputs: files that are the same are not
/// written again, and `how` they get into the new one. It must have its directory, and stay.
LayerId run_file_op(LayerStore& layers, const LayerStack& base, const FileOp& op,
                    const InputTrees& trees, std::optional<LayerId> earlier = {},
                    Borrowing how = Borrowing::link, const OnRevealing& on_revealing = {});

}  // namespace lade
