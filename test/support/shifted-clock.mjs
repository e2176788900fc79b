// node --import shifted-clock.mjs: Date runs off by the seconds in the file $SHIFT_FILE. Where libfaketime is missing.
import { readFileSync } from 'node:fs';

const RealDate = Date;
// Read each time: a test that has set it goes on at once.
const off = () => Number(readFileSync(process.env.SHIFT_FILE, 'utf8')) * 1_000;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + off());
    else super(...given);
  }
  static now() {
    return RealDate.now() + off();
  }
};
