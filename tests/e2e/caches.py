"""What tests of caches that machines share have in common. A machine is a state directory."""

STAGES = """FROM busybox AS tool
RUN echo tool > /tool; echo noise
FROM busybox
COPY --from=tool /tool /bin/tool
COPY a.txt /dst/
RUN cat /dst/a.txt /bin/tool > /both
"""


class TwoMachines:
    """For test cases: `self.ws.state` is this machine, `self.there` another one; the context is STAGES."""

    def setUp(self):
        super().setUp()
        self.there = self.ws.new_state(name="other-machine")
        self.write({"Dockerfile": STAGES, "a.txt": "a\n"})
