// Numbers -> places on an axis, the numbers that stand along it, and how they are written.

const SHORT = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
const plain = (value, digits = 4) => String(Number(value.toPrecision(digits)));

function short(value) {
  for (const [factor, suffix] of SHORT) {
    if (Math.abs(value) >= factor) return plain(value / factor) + suffix;
  }
  return plain(value);
}

const written = {
  count: short,
  micros: short,
  number: short,
  share: (value) => `${plain(100 * value)} %`,
  bytes: (value) => plain(value / 2 ** 20),
};

function linearTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough * (1 - 1e-9));
  const ticks = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) ticks.push(place * step);
  return ticks;
}

function logTicks(low, high, most) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
  }
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  if (inside.length < 2) return linearTicks(low, high, most).filter((tick) => tick > 0);
  const every = Math.ceil(inside.length / most);
  const decades = inside.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6));
  return every === 1 ? inside : decades.length > 1 ? decades : inside.filter((_, place) => place % every === 0);
}

// A scale from the values that it must hold to `from`..`to` in pixels, with a little room at both ends.
function scaleOf(values, log, from, to, most, unit = 1) {
  const via = log ? Math.log : (value) => value;
  const back = log ? Math.exp : (value) => value;
  let low = via(Math.min(...values));
  let high = via(Math.max(...values));
  const room = 0.06 * (high - low) || (log ? 0.3 : Math.abs(high) * 0.05 || 0.5);
  low -= room;
  high += room;
  const at = (value) => from + ((via(value) - low) / (high - low)) * (to - from);
  const ticks = (log ? logTicks : linearTicks)(back(low) / unit, back(high) / unit, most);
  return { at, ticks: ticks.map((tick) => tick * unit) };
}
