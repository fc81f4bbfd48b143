// From an image and the options of `lade run` to the step that runs.
#pragma once

#include "app/run/run_image.hpp"
#include "solver/ops/exec_op.hpp"

namespace lade {

/// The process, by Docker's rules: --entrypoint drops the image's command; what follows the image
/// replaces it; variables of -e replace the image's. Throws Error if there is nothing to run.
ExecOp plan_process(const RunRequest& request, const ImageConfig& config);

/// What the sandbox is made of, ready to be started; its files go away with it.
PreparedExec prepare_run(StateDir& state, const RunRequest& request, const RunImage& image);

}  // namespace lade
