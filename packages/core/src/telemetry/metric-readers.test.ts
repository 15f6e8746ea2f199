import { expect, it } from 'vitest';
import { addUnit } from './metric-readers.js';

it.each([
  ['http.server.request.duration', 's', 'http.server.request.duration_seconds'],
  ['livegate.upload.in_flight', 'By', 'livegate.upload.in_flight_bytes'],
  ['livegate.queue.depth', '{check}', 'livegate.queue.depth'],
  ['nodejs.eventloop.utilization', '1', 'nodejs.eventloop.utilization_ratio'],
  ['process.uptime.seconds', 's', 'process.uptime.seconds'],
  ['livegate.ready', '', 'livegate.ready'],
])('a gauge %s in %j is %s for Prometheus', (name, unit, expected) => {
  expect(addUnit({ name, unit }, true)).toBe(expected);
});

it('a counter with the unit 1 is not a ratio', () => {
  expect(addUnit({ name: 'requests', unit: '1' }, false)).toBe('requests');
});
