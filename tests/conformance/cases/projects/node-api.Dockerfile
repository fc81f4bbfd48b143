#: file package.json {"name": "api", "version": "1.0.0"}\n
#: file package-lock.json {}\n
#: file src/index.js console.log(1)\n
#: file src/lib/a.js a\n
#: file .dockerignore node_modules\n*.md\n.git\nDockerfile*\n
#: file node_modules/junk/index.js junk\n
#: file README.md readme\n
#: args NODE_ENV=production
# syntax=docker/dockerfile:1
ARG NODE_VERSION=20
FROM busybox AS base
ARG NODE_VERSION
ENV NODE_VERSION=${NODE_VERSION} \
    NPM_CONFIG_LOGLEVEL=warn \
    PATH=/app/node_modules/.bin:$PATH
RUN mkdir -p /etc && echo node:x:1001:1001::/home/node:/bin/sh >> /etc/passwd && echo node:x:1001: >> /etc/group
COPY --chmod=0755 <<'EOF' /usr/local/bin/npm
#!/bin/sh
mkdir -p node_modules/left-pad && echo "$@" > node_modules/left-pad/installed
[ "$1" != run ] || { mkdir -p dist && cat src/*.js > dist/index.js; }
EOF
WORKDIR /app

FROM base AS deps
COPY package*.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev

FROM base AS build
COPY package*.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build

FROM base AS release
ARG NODE_ENV=development
ENV NODE_ENV=${NODE_ENV} PORT=3000
COPY --from=deps --chown=node:node /app/node_modules ./node_modules
COPY --from=build --chown=node:node /app/dist ./dist
COPY --chown=node:node package.json .
USER node
EXPOSE ${PORT}
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD wget -qO- http://localhost:${PORT}/health || exit 1
CMD ["node", "dist/index.js"]
