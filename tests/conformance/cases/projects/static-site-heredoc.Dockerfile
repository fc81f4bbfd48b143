#: args TITLE=Hello\ \&\ welcome
FROM busybox AS build
ARG TITLE="none"
COPY <<EOF /site/index.html
<title>${TITLE}</title>
<p>cost: \$5, path C:\\dir, tab	here, "quoted" 'single'</p>
EOF
COPY <<'EOF' <<"CSS" <<-JS /site/assets/
{"title": "${TITLE}"}
EOF
body { margin: 0 }
CSS
	let a = `${TITLE}`;
		indented();
	JS
RUN <<SH1 cat > /site/one && <<SH2 cat > /site/two
one $TITLE
SH1
two \$TITLE
SH2
FROM scratch
COPY --from=build /site /
