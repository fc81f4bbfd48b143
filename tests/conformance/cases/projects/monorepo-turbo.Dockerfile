#: file package.json {}\n
#: file apps/web/package.json {}\n
#: file apps/web/src/page.tsx p\n
#: file apps/api/package.json {}\n
#: file apps/api/src/main.ts m\n
#: file packages/ui/package.json {}\n
#: file packages/ui/src/button.tsx b\n
#: file packages/ui/node_modules/x/package.json {}\n
FROM busybox AS manifests
WORKDIR /m
COPY --parents package.json ./*/*/package.json ./
FROM busybox AS pruned
WORKDIR /repo
COPY --parents --exclude=**/node_modules apps/web packages ./
COPY --from=manifests /m /manifests
FROM busybox
COPY --from=pruned --parents /repo/./apps/*/src /repo/./packages/*/src /out/
COPY --from=manifests --exclude=apps/api /m /m
COPY --link --from=pruned /manifests/ /linked/
