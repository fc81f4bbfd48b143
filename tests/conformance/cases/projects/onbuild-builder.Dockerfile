#: file Gemfile source\n
#: file Gemfile.lock lock\n
#: file app/models/a.rb a\n
FROM busybox AS builder
WORKDIR /usr/src/app
ONBUILD ARG RAILS_ENV=production
ONBUILD ENV RAILS_ENV=$RAILS_ENV
ONBUILD COPY Gemfile Gemfile.lock ./
ONBUILD RUN --mount=type=cache,target=/bundle cat Gemfile.lock > installed
ONBUILD COPY . .
ONBUILD USER 1000
ONBUILD LABEL env=$RAILS_ENV
FROM builder AS app
RUN id -u > /tmp/uid && echo $RAILS_ENV > /tmp/env
CMD ["rails", "server"]
FROM busybox
COPY --from=app /usr/src/app /tmp /app/
