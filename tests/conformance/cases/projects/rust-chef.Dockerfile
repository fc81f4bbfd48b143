#: file Cargo.toml [package]\n
#: file Cargo.lock #\n
#: file src/main.rs fn main() {}\n
#: file src/bin/two.rs fn main() {}\n
FROM busybox AS chef
WORKDIR /app
SHELL ["/bin/sh", "-euo", "pipefail", "-c"]
FROM chef AS planner
COPY . .
RUN find . -type f | sort > recipe.json
FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked --mount=type=cache,target=/app/target,id=chef-target \
    wc -l < recipe.json > deps.txt
COPY . .
RUN --mount=type=cache,target=/app/target,id=chef-target mkdir -p target/release && cat src/main.rs src/bin/*.rs > target/release/app && cp target/release/app /usr/local/bin/app || (mkdir -p /usr/local/bin && cp target/release/app /usr/local/bin/app)
FROM busybox AS runtime
COPY --link --from=builder /usr/local/bin/app /usr/local/bin/
STOPSIGNAL SIGINT
CMD ["app"]
