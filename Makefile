# Everything is built in build/ by Meson.
MARTINGALE = GOMP_SPINCOUNT=10000 build/martingale
build: ; @tools/deps.sh && (tools/mujoco.sh || true) && (test -f build/build.ninja || meson setup build >build.log 2>&1 || { cat build.log; exit 1; }) && rm -f build.log && ninja -C build --quiet
demo: build ; $(MARTINGALE) demo --minutes $(or $(MINUTES),7)
test: build ; @tools/test.sh short
test-long: build ; @tools/test.sh long
bench: build ; $(MARTINGALE) bench $(if $(wildcard build/peers/bench),--peers build/peers/bin/python)
bench-peers: build ; @tools/peers.sh bench && $(MARTINGALE) bench --peers build/peers/bin/python
asan: ; @tools/test.sh asan
tsan: ; @tools/test.sh tsan
clean: ; rm -rf build build-* build.log
.PHONY: build demo test test-long bench bench-peers asan tsan clean
