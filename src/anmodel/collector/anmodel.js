/*! AnModel's snippet: docs/events.md#from-a-web-page. An event stays in localStorage until the collector has answered. */
(function (window, document) {
  'use strict';
  var script = document.currentScript;
  var given = (script && script.dataset) || {};
  var waiting = window.anmodel || [];
  if (!Array.isArray(waiting)) return; // it is here already
  var url = (given.url || new URL('collect', script.src).href) + (given.key ? '?key=' + encodeURIComponent(given.key) : '');
  var BYTES = 48000; // of one request: a page that closes may have 64 kB on their way
  var EVENTS = 100;
  var KEPT = 2000; // unsent events; past it the oldest go
  var WAIT = +given.wait || 1000;
  var LONGEST = 60000;
  var SESSION = 1800000; // this long without an event ends a session
  var prefix = 'anmodel.';
  var memory = {};
  var timer, due, sending, gone, backoff = WAIT, most = EVENTS;

  // Each event is an item of its own: pages that are open at once do not write over each other's.
  var store = (function () {
    try {
      var there = window.localStorage;
      there.setItem(prefix + 'test', 1);
      there.removeItem(prefix + 'test');
      return there;
    } catch (denied) {
      return null;
    }
  })();

  function get(name) {
    return (store && store.getItem(prefix + name)) || memory[name];
  }

  function put(name, value) {
    try {
      store.setItem(prefix + name, value);
    } catch (full) {
      memory[name] = value;
    }
  }

  function remove(name) {
    if (store) store.removeItem(prefix + name);
    delete memory[name];
  }

  function queued() {
    var names = Object.keys(memory).concat(store ? Object.keys(store).map(function (name) {
      return name.indexOf(prefix) ? '' : name.slice(prefix.length);
    }) : []);
    return names.filter(function (name) {
      return name.indexOf('e.') === 0;
    }).sort();
  }

  function id() {
    if (window.crypto && crypto.randomUUID) return crypto.randomUUID();
    return Date.now().toString(36) + Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);
  }

  function kept(name) {
    var value = get(name);
    if (!value) put(name, value = id());
    return value;
  }

  function session() {
    var parts = (get('session') || '').split(' ');
    var now = Date.now();
    var name = now - parts[1] < SESSION ? parts[0] : id();
    put('session', name + ' ' + now);
    return name;
  }

  var tracked = 0;

  function track(type, properties) {
    var now = new Date();
    var event = {
      event_id: id(),
      event_type: type,
      timestamp: now.toISOString(),
      session_id: session(),
      user_id: get('user') || kept('visitor'),
      region: get('region') || given.region || '',
      properties: properties || {}
    };
    // the name sorts by time, and within a millisecond by order
    put('e.' + now.getTime() + '.' + String(1e6 + tracked++ % 1e6) + '.' + event.event_id, JSON.stringify(event));
    queued().slice(0, -KEPT).forEach(remove);
    later(WAIT);
    return event.event_id;
  }

  function size(text) {
    return new Blob([text]).size;
  }

  // The oldest events that fit one request: their names, and the request's body.
  function batch(names) {
    var taken = [], texts = [], bytes = 2;
    for (var i = 0; i < names.length && taken.length < most; i++) {
      var text = get(names[i]);
      if (!text) continue; // another page has sent it
      bytes += size(text) + 1;
      if (taken.length && bytes > BYTES) break;
      taken.push(names[i]);
      texts.push(text);
    }
    return { names: taken, body: '[' + texts.join(',') + ']' };
  }

  function later(wait) {
    var at = Date.now() + wait;
    if (sending || (timer && due <= at)) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(flush, wait);
  }

  function flush() {
    timer = 0;
    if (sending) return;
    var next = batch(queued());
    if (!next.names.length) return;
    sending = true;
    fetch(url, {
      method: 'POST',
      body: next.body, // a text: so no browser asks first
      credentials: 'omit',
      keepalive: size(next.body) < 60000
    }).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (said) {
        return settle(answer, said, next.names);
      });
    }).catch(function () { return 0; }).then(function (wait) {
      sending = false;
      if (wait) {
        backoff = WAIT;
        later(wait);
      } else if (wait === 0) {
        later(backoff * (1 + Math.random()));
        backoff = Math.min(backoff * 2, LONGEST);
      }
    });
  }

  // Forgets what the answer decides. Milliseconds until the next request; 0: it got us no further.
  function settle(answer, said, names) {
    var status = answer.status;
    var again = answer.headers.get('retry-after') * 1000;
    if (status === 413 && names.length > 1) {
      most = names.length >> 1;
      return 1;
    }
    if (Array.isArray(said.events)) {
      said.events.forEach(function (event) {
        if (event.status === 'refused') warn(event);
        if (event.status !== 'unavailable') remove(names[event.index]);
      });
      if (status === 503) return Math.min(again, LONGEST) || 0;
    } else if (status === 413 || status === 422) {
      warn(said);
      names.forEach(remove);
    } else if (status > 299 || status < 200) {
      if (status < 500) warn(said);
      return status === 429 ? Math.min(again, LONGEST) || 0 : 0;
    } else {
      names.forEach(remove);
    }
    most = EVENTS;
    return 1;
  }

  function warn(said) {
    if (window.console) console.warn('anmodel', said);
  }

  // What is still here goes out once more as the page goes, and stays here, since nobody hears the answer: the next page
  // sends it again, with the same ids, and it counts once.
  function leave(event) {
    if (event.type !== 'pagehide' && document.visibilityState !== 'hidden') gone = false;
    else if (!gone && navigator.sendBeacon) {
      gone = true;
      var next = batch(queued());
      if (next.names.length) navigator.sendBeacon(url, next.body);
    }
  }

  var api = {
    track: track,
    identify: function (user) { user ? put('user', String(user)) : remove('user'); },
    region: function (region) { put('region', region); },
    flush: flush,
    push: function (call) { return api[call[0]].apply(api, call.slice(1)); }
  };
  window.anmodel = api;
  waiting.forEach(api.push);
  document.addEventListener('visibilitychange', leave);
  window.addEventListener('pagehide', leave);
  window.addEventListener('online', function () { later(1); });
  later(1);
})(window, document);
