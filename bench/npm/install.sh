#!/bin/sh
# Install the servers written for Node.js, with the Node.js 22 that comes as a package. Run in this folder.
set -eu
npm --silent ci --ignore-scripts --no-audit --no-fund
npm --silent rebuild node >/dev/null
modules=$PWD/node_modules/node
# better-sqlite3 is made for one version of Node.js: this one's, with its headers where nothing ready-made is to be had.
for headers in "$modules"/node_modules/node-*/include; do nodedir=${headers%/include}; done
PATH=$modules/bin:$PATH npm_config_nodedir=$nodedir npm --silent rebuild better-sqlite3 >/dev/null
"$modules/bin/node" --input-type=commonjs -e 'new (require("better-sqlite3"))(":memory:")'
