'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const required = require('gatewayqueue-discord');

test('require and import have the same names and classes', async () => {
  const { default: _, ...imported } = await import('gatewayqueue-discord');
  assert.deepEqual({ ...imported }, { ...required });
});
